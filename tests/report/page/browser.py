"""A page, parsed, and in headless Chromium: what a script measures in it, and its console messages."""

import base64
import json
import re
import shutil
import subprocess
from html import escape, unescape
from html.parser import HTMLParser

import pytest

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
FLAGS = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--hide-scrollbars',
    '--enable-logging=stderr',
    '--v=0',
]
VOID = {'meta', 'link', 'br'}


class Page(HTMLParser):
    """Ids, links and downloads of a page, and whether its tags nest."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.downloads, self.open, self.data = [], [], {}, [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if 'id' in attributes:
            self.ids.append(attributes['id'])
        self.links += [attributes[key] for key in ('href', 'src', 'xlink:href') if key in attributes]
        if 'download' in attributes:
            self.downloads[attributes['download']] = base64.b64decode(
                attributes['href'].partition('base64,')[2]
            ).decode()
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.data.append(data)


def chromium(path, tmp_path, width=1400, scheme=1):
    """Return the page after its scripts have run, and its console messages."""
    flags = [
        *FLAGS,
        f'--user-data-dir={tmp_path / "profile"}',
        f'--window-size={width},900',
        f'--blink-settings=preferredColorScheme={scheme}',
        '--dump-dom',
    ]
    result = subprocess.run([CHROMIUM, *flags, path.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    return result.stdout, result.stderr


def measured(html, script, tmp_path, width=390, scheme=1):
    """Return what a script measures in the page, shown in a frame: Chromium's window cannot be as narrow as a phone."""
    frame = f"""<!doctype html><title>none</title><iframe width="{width}" height="900" srcdoc="{escape(html)}"></iframe>
    <script>addEventListener('load', () => {{
      const page = document.querySelector('iframe').contentDocument, view = page.defaultView;
      document.title = JSON.stringify((() => {{ {script} }})());
    }})</script>"""
    path = tmp_path / 'frame.html'
    path.write_text(frame, encoding='utf-8')
    dom, console = chromium(path, tmp_path, 1400, scheme)
    assert 'CONSOLE' not in console
    return json.loads(unescape(re.search('<title>(.*?)</title>', dom, re.DOTALL)[1]))


GEOMETRY = """
  const drawings = [...page.querySelectorAll('figure svg')];
  const outside = [...page.querySelectorAll('main *')].filter(element => {
    const box = element.getBoundingClientRect();
    return box.right > view.innerWidth + 1 && box.width && !element.closest('.scroll, .drawing, pre');
  });
  const small = drawings.flatMap(svg => [...svg.querySelectorAll('text')].filter(text => text.textContent.trim())
    .map(text => text.getBoundingClientRect().height)).filter(height => height && height < 6.5);
  return {
    width: view.innerWidth,
    drawn: drawings.filter(svg => svg.clientHeight > 100).length,
    named: drawings.filter(svg => ['title', 'desc'].every(name => svg.querySelector(name).textContent)).length,
    overflow: page.documentElement.scrollWidth - view.innerWidth,
    outside: outside.map(element => element.outerHTML.slice(0, 80)),
    small: small.length,
  };
"""
BROWSER_MARKS = [pytest.mark.integration, pytest.mark.skipif(CHROMIUM is None, reason='needs Chromium')]


def opens_browser(function):
    """Mark a test that opens the page in a browser."""
    for mark in BROWSER_MARKS:
        function = mark(function)
    return function
