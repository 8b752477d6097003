"""Sphinx's settings for both languages; `language` comes from the builder's command line."""

import os
from pathlib import Path

LANGUAGE = os.environ.get("SITE_LANGUAGE", "en")
HERE = Path(__file__).parent

project = "reslearn"
author = "the reslearn maintainers"
copyright = "the reslearn maintainers"  # Sphinx's own name for it
language = LANGUAGE
extensions = ["myst_nb", "sitebuild.search"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
exclude_patterns = ["notebooks/**", "_files/**"]
templates_path = [str(HERE / "templates")]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
nb_execution_mode = "off"
nb_merge_streams = True
nb_code_prompt_show = "코드 보기" if LANGUAGE == "ko" else "Show the code"
nb_code_prompt_hide = "코드 접기" if LANGUAGE == "ko" else "Hide the code"

html_theme = "furo"
smartquotes_action = "qe"  # quotes and dots; --data in a sentence is an option, no dash
pygments_dark_style = "github-dark"
html_title = "reslearn"
html_static_path = [str(HERE / "static"), str(HERE.parent / "_build" / "static")]
html_favicon = str(HERE / "static" / "favicon.svg")
html_css_files = ["site.css", "diagram.css"]
html_js_files = [("korean.js", {"priority": 900})] if LANGUAGE == "ko" else []
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/language.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
html_context = {
    "twins": set(filter(None, os.environ.get("SITE_TWINS", "").split(";"))),
    "other_language": ("en", "English") if LANGUAGE == "ko" else ("ko", "한국어"),
}
_TYPE = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Apple SD Gothic Neo', 'Malgun Gothic', "
    "'Noto Sans KR', 'Noto Sans CJK KR', sans-serif"
)
html_theme_options = {
    "top_of_page_buttons": [],
    "light_css_variables": {
        "font-stack": _TYPE,
        "color-brand-primary": "#0a56ab",
        "color-brand-content": "#0a56ab",
        "color-brand-visited": "#5b3fa0",
    },
    "dark_css_variables": {
        "color-brand-primary": "#7cb8ff",
        "color-brand-content": "#7cb8ff",
        "color-brand-visited": "#c1a8f5",
    },
}
