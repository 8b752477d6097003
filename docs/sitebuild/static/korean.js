// What the Korean of Sphinx and of the theme leaves empty.
Documentation.addTranslations({
  locale: "ko",
  messages: {
    "Search finished, found one page matching the search query.": ["검색이 끝났습니다. ${resultCount}쪽을 찾았습니다."],
  },
  plural_expr: "0",
});

const koreanWords = { Next: "다음", Previous: "이전", Home: "처음으로", "On this page": "이 페이지에서", "Back to top": "맨 위로", "Made with": "만든 도구:" };
document.addEventListener("DOMContentLoaded", () => {
  for (const one of document.querySelectorAll(".related-pages .context *, .related-pages .title, .toc-title, .back-to-top span, .left-details")) {
    for (const node of one.childNodes) {
      const word = node.nodeType === Node.TEXT_NODE && koreanWords[node.textContent.trim()];
      if (word) node.textContent = `${word} `;
    }
  }
});
