// Every word of the page, in English and in Korean.

const WORDS = {
  en: {
    title: "What is in your pictures?",
    drop: "Drop pictures here",
    hint: "or paste them",
    nothing: "There was no picture in that.",
    choose: "Choose pictures",
    camera: "Use the camera",
    take: "Take the picture",
    stop: "Close the camera",
    noCamera: "The camera cannot be used here. Allow it in the browser, or choose a picture.",
    model: "Model",
    language: "한국어",
    languageName: "Switch to Korean",
    heat: "Heat",
    heatHelp: "Warm places speak for the first answer.",
    noHeat: "This model has no heat map here.",
    csv: "Download the table (CSV)",
    clear: "Clear",
    remove: "Remove",
    results: "Answers",
    table: "Table",
    file: "picture",
    answer: "answer",
    probability: "probability",
    next: "then",
    error: "error",
    unknown: "unknown",
    unknownWhy: "No class reaches {0}.",
    waiting: "is being answered",
    done: "{0} of {1} answered",
    failed: "{0} could not be read",
    loading: "The model is being made ready …",
    ready: "Ready. Nothing leaves this page.",
    readyServer: "Ready.",
    gone: "The server does not answer. Is it still running? Try again.",
    busy: "The server is busy; trying again …",
    key: "The server wants a key: open the page from where the key is sent, or ask with a program.",
    tooLarge: "Too large for the server.",
    notShown: "no preview",
    notPicture: "This browser cannot read it as a picture.",
    altered: "This file was altered: {0} does not have the digest that it was made with. It answers nothing; get it again.",
    cannotVerify: "This browser gives no way to check the file's digests here. Open the file itself, or over https.",
    old: "This browser is too old for this page: it needs DecompressionStream and WebAssembly.",
    about: "About this model",
    network: "network",
    classes: "classes",
    scores: "scores",
    of: "of {0} pictures",
    input: "input",
    trained: "trained on",
    made: "made with",
    weights: "began with",
    checksum: "checksum (sha256)",
    exported: "exported file (sha256)",
    runtime: "runtime",
    engine: "computed by",
    threshold: "least probability",
    temperature: "temperature",
    more: "and {0} more",
    header: "the whole header",
    none: "not known",
    picture: "picture from the camera",
    pasted: "pasted picture",
    crop: "shorter side to {1}, centre {0} × {0}",
    squash: "resized to {0} × {0}",
    pad: "longer side to {0}, padded to {0} × {0}",
  },
  ko: {
    title: "사진에 무엇이 있나요?",
    drop: "사진을 여기에 놓으세요",
    hint: "또는 붙여넣으세요",
    nothing: "그 안에는 사진이 없습니다.",
    choose: "사진 고르기",
    camera: "카메라 쓰기",
    take: "사진 찍기",
    stop: "카메라 닫기",
    noCamera: "여기서는 카메라를 쓸 수 없습니다. 브라우저에서 허용하거나 사진을 고르세요.",
    model: "모델",
    language: "English",
    languageName: "영어로 바꾸기",
    heat: "히트맵",
    heatHelp: "따뜻한 곳이 첫 번째 답의 근거입니다.",
    noHeat: "이 모델은 여기서 히트맵이 없습니다.",
    csv: "표 내려받기 (CSV)",
    clear: "모두 지우기",
    remove: "지우기",
    results: "답",
    table: "표",
    file: "사진",
    answer: "답",
    probability: "확률",
    next: "다음",
    error: "오류",
    unknown: "알 수 없음",
    unknownWhy: "{0}에 이르는 분류가 없습니다.",
    waiting: "답을 기다리는 중",
    done: "{1}장 중 {0}장 답함",
    failed: "{0}장은 읽을 수 없음",
    loading: "모델을 준비하는 중 …",
    ready: "준비되었습니다. 아무것도 이 페이지 밖으로 나가지 않습니다.",
    readyServer: "준비되었습니다.",
    gone: "서버가 답하지 않습니다. 아직 실행 중인가요? 다시 해 보세요.",
    busy: "서버가 바쁩니다. 다시 시도하는 중 …",
    key: "서버가 키를 요구합니다. 키를 보내는 곳에서 페이지를 열거나 프로그램으로 요청하세요.",
    tooLarge: "서버에 보내기에는 너무 큽니다.",
    notShown: "미리보기 없음",
    notPicture: "이 브라우저는 이것을 사진으로 읽을 수 없습니다.",
    altered: "이 파일은 바뀌었습니다: {0}의 다이제스트가 만들 때와 다릅니다. 답하지 않습니다. 다시 받으세요.",
    cannotVerify: "여기서는 파일의 다이제스트를 확인할 수 없습니다. 파일을 직접 열거나 https로 여세요.",
    old: "이 페이지에는 DecompressionStream과 WebAssembly가 있는 더 새로운 브라우저가 필요합니다.",
    about: "이 모델에 대하여",
    network: "신경망",
    classes: "분류",
    scores: "점수",
    of: "사진 {0}장",
    input: "입력",
    trained: "학습 자료",
    made: "학습 방법",
    weights: "시작 가중치",
    checksum: "체크섬 (sha256)",
    exported: "내보낸 파일 (sha256)",
    runtime: "런타임",
    engine: "계산",
    threshold: "최소 확률",
    temperature: "온도",
    more: "외 {0}개",
    header: "헤더 전체",
    none: "알려지지 않음",
    picture: "카메라 사진",
    pasted: "붙여넣은 사진",
    crop: "짧은 변을 {1}로, 가운데 {0} × {0}",
    squash: "{0} × {0}로 크기 조정",
    pad: "긴 변을 {0}로, {0} × {0}로 채움",
  },
};
const KEPT = "reslearn-language";

let language = (kept() || navigator.language || "en").toLowerCase().startsWith("ko") ? "ko" : "en";

export function currentLanguage() {
  return language;
}

export function switchLanguage() {
  language = language === "ko" ? "en" : "ko";
  try {
    localStorage.setItem(KEPT, language);
  } catch {
    // a page from a file may not keep anything
  }
}

// The text called `name`, its {0}, {1}, ... filled in.
export function say(name, ...values) {
  return (WORDS[language][name] ?? name).replace(/\{(\d)\}/g, (_, i) => values[Number(i)]);
}

// Fill in the words of everything that names them: data-say its text, data-say-label its aria-label and title.
export function sayAll(root) {
  for (const one of root.querySelectorAll("[data-say]")) one.textContent = say(one.dataset.say);
  for (const one of root.querySelectorAll("[data-say-label]")) {
    one.setAttribute("aria-label", say(one.dataset.sayLabel));
    one.title = say(one.dataset.sayLabel);
  }
}

export function percent(value) {
  return `${(100 * value).toFixed(1)} %`;
}

function kept() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}
