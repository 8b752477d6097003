"""The site of executed pages: English and Korean sources to HTML and notebooks.

    PYTHONPATH=docs python -m sitebuild build      every cell executed, both languages, docs/_build/html
    PYTHONPATH=docs python -m sitebuild behind     Korean pages whose English page has changed since

`pages` reads sources, `running` executes them, `notebooks` puts cells and outputs together, `sources` writes what
Sphinx reads, `checks` looks at what came out.
"""
