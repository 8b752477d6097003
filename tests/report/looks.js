// What is wrong with how a page looks, as far as a browser can tell by itself: a list of lines, empty where all is well.
// Called with the whole page inside the window, so that every point of it can be asked for.
() => {
  const SMALLEST = 8; // pixels of a letter's height, em
  const found = [];
  const page = document.documentElement;
  const name = (one) => {
    const words = (one.textContent || one.alt || "").trim().replace(/\s+/g, " ").slice(0, 40);
    const kind = typeof one.className === "string" && one.className ? `.${one.className.split(" ")[0]}` : "";
    return `<${one.tagName.toLowerCase()}${kind}> '${words}'`;
  };
  const tell = (what, one, ...rest) => found.push([what, name(one), ...rest].join(" "));
  const style = (one) => getComputedStyle(one);
  const scrolls = (one) => /auto|scroll/.test(style(one).overflowX);
  const clips = (one) => /hidden|clip/.test(style(one).overflowX);
  const shortened = (one) => style(one).textOverflow === "ellipsis" || style(one).webkitLineClamp !== "none";
  const told = (one) => one.closest("[title]") !== null;
  const hidden = (one) => !one.checkVisibility({ opacityProperty: true, visibilityProperty: true });

  if (page.scrollWidth > page.clientWidth) found.push(`the page is ${page.scrollWidth - page.clientWidth} pixels too wide`);

  // Every run of text, its element, and the rectangles of its lines as far as nothing clips them.
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, one = node.parentElement;
    if (!node.data.trim() || !one || /^(SCRIPT|STYLE|TITLE|OPTION|TEMPLATE)$/i.test(one.tagName) || hidden(one)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    let rects = [...range.getClientRects()].filter((rect) => rect.width > 0.5 && rect.height > 0.5);
    const svg = one.closest("svg");
    if (svg) rects = [one.closest("text").getBoundingClientRect()];
    // Lines that are left out on purpose, with the whole text as the title, are not there.
    for (let box = one; box && !svg && box !== document.body; box = box.parentElement)
      if (clips(box) && shortened(box) && told(box)) {
        const edge = box.getBoundingClientRect();
        rects = rects.filter((rect) => rect.top < edge.bottom - 2);
      }
    for (const rect of rects) texts.push({ one, svg, left: rect.left, right: rect.right, top: rect.top, bottom: rect.bottom });
  }

  for (const { one } of texts)
    if (/\\math|\$\\/.test(one.textContent)) tell("a formula as text:", one);

  // Words in a drawing that was shrunk, and anywhere: too small to read.
  for (const { one, svg } of texts) {
    const matrix = svg ? one.closest("text").getScreenCTM() : null;
    const size = parseFloat(style(one).fontSize) * (matrix ? Math.hypot(matrix.a, matrix.b) : 1);
    if (size < SMALLEST) tell("too small to read:", one, `${size.toFixed(1)} pixels`);
  }

  // Cut off: by a box that clips, by the edge of a drawing; or spilling out of the box that it stands in.
  for (const text of texts) {
    if (text.svg) {
      const box = text.svg.getBoundingClientRect();
      const over = Math.max(box.left - text.left, text.right - box.right, box.top - text.top, text.bottom - box.bottom);
      if (over > 2) tell("cut off by its drawing:", text.one.closest("text"), `by ${over.toFixed(1)}`);
    }
    for (let box = text.one; box && box !== document.body; box = box.parentElement) {
      if (scrolls(box)) break;
      if (box.closest("svg") || style(box).display.startsWith("inline") || style(box).display === "contents") continue;
      const edge = box.getBoundingClientRect();
      const over = Math.max(edge.left - text.left, text.right - edge.right);
      if (over > 1) {
        if (clips(box) && shortened(box) && told(box)) break;
        tell(clips(box) ? "cut off by its box:" : "spills out of its box:", text.one, `by ${over.toFixed(1)} out of ${name(box).slice(0, 30)}`);
        break;
      }
      if (clips(box)) {
        const below = Math.max(edge.top - text.top, text.bottom - edge.bottom);
        if (below > 2) { tell("cut off by its box:", text.one, `by ${below.toFixed(1)} upright`); break; }
      }
    }
  }
  for (const picture of document.images) {
    if (hidden(picture)) continue;
    if (!picture.complete || !picture.naturalWidth) tell("not shown:", picture);
    const edge = picture.getBoundingClientRect();
    for (let box = picture.parentElement; box && box !== document.body; box = box.parentElement) {
      if (scrolls(box)) break;
      const outer = box.getBoundingClientRect();
      if (outer.width && edge.right - outer.right > 1) { tell("cut off:", picture); break; }
    }
  }

  // Two texts at one place. Line boxes are higher than letters: a fifth at each end does not count.
  const boxes = texts.filter(({ one }) => !scrolledAway(one)).map((text) => {
    const lean = text.svg ? 0.2 : 0.15;
    const turned = text.bottom - text.top > text.right - text.left && text.svg;
    const dx = turned ? lean * (text.right - text.left) : 0.5, dy = turned ? 0.5 : lean * (text.bottom - text.top);
    return { ...text, left: text.left + dx, right: text.right - dx, top: text.top + dy, bottom: text.bottom - dy };
  }).sort((a, b) => a.top - b.top);
  function scrolledAway(one) {
    for (let box = one; box && box !== document.body; box = box.parentElement)
      if ((scrolls(box) && box.scrollWidth > box.clientWidth) || (clips(box) && shortened(box))) return !one.closest("svg");
    return false;
  }
  for (let i = 0; i < boxes.length; i++)
    for (let k = i + 1; k < boxes.length && boxes[k].top < boxes[i].bottom; k++) {
      const a = boxes[i], b = boxes[k];
      if (a.one === b.one || a.one.contains(b.one) || b.one.contains(a.one)) continue;
      if (a.svg && b.svg && a.one.closest("text") === b.one.closest("text")) continue;
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left), high = Math.min(a.bottom, b.bottom) - b.top;
      if (wide > 1 && high > 1) tell("overlaps:", a.one, "and", name(b.one));
    }

  return { found: [...new Set(found)], texts: texts.map(({ one, svg, left, right, top, bottom }) => {
    const shown = style(one);
    let opacity = 1;
    for (let box = one; box; box = box.parentElement) opacity *= Number(style(box).opacity);
    if (svg) opacity *= Number(shown.fillOpacity);
    return { name: name(one), colour: svg ? shown.fill : shown.color, opacity, left, right, top, bottom };
  }) };
}
