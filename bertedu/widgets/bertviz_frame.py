"""A closed frame with the drawing scripts of the installed packages: bertviz's own, and d3."""

import html
from importlib.util import find_spec
from pathlib import Path

from bertedu.widgets.base import javascript_module
from bertedu.widgets.palette import STATIC

D3 = ("mpld3", "js/d3.v5.min.js", "v5.7.0", 1)
_CONTENT = {  # text of each script that must be there, and how often
    "head_view": ("PYTHON_PARAMS", 2),
    "model_view": ("PYTHON_PARAMS", 2),
    "neuron_view": ("window.bertviz_params", 1),
}
# Nothing may be loaded, whatever a script asks for.
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"


def drawing(view: str) -> str:
    """Returns bertviz's script, made to read what ours prepares."""
    source = script("bertviz", f"{view}.js", *_CONTENT[view])
    return source.replace("PYTHON_PARAMS", "window.bertviz_params")


def script(package: str, file: str, text: str, count: int) -> str:
    """Returns a script of an installed package, in which a text stands so many times."""
    spec = find_spec(package)  # finds it without importing it
    if spec is None or spec.origin is None:
        raise ImportError(f"{package} is not installed: pip install 'bertedu[lab]'")
    path = Path(spec.origin).parent / file
    source = path.read_text(encoding="utf-8") if path.is_file() else ""
    if source.count(text) != count:
        raise ImportError(
            f"the installed {package} has another {file} than this module knows: install the "
            "version that requirements.lock names"
        )
    return source


def frame(packed: str, label: str, height: float) -> str:
    """Returns a frame that reaches neither the page around it nor the network."""
    document = (
        '<!doctype html><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{label}</title>"
        f"<style>{(STATIC / 'bertviz.css').read_text(encoding='utf-8')}</style><body>"
        f'<script type="module">{javascript_module("bertviz")}\ndraw("{packed}");</script>'
    )
    return (
        f'<div><iframe title="{label}" sandbox="allow-scripts" width="100%" '
        f'height="{round(height) + 100}" style="border: 0; color-scheme: light" '
        f'srcdoc="{html.escape(document)}"></iframe></div>'
    )
