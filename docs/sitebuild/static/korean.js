// What Sphinx's Korean leaves empty.
Documentation.addTranslations({
  locale: "ko",
  messages: {
    "Search finished, found one page matching the search query.": ["검색이 끝났습니다. ${resultCount}쪽을 찾았습니다."],
  },
  plural_expr: "0",
});
