"""The directive ``executed``: Python that is run when the page is built, with what it printed below it.

The blocks of a page share their names, as in one session. A block that raises an error fails the build.
"""

import contextlib
import io
import traceback

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


class Executed(SphinxDirective):
    """A literal block of Python and, if it printed anything, one of its output."""

    has_content = True

    def run(self):
        code = '\n'.join(self.content)
        names = self.env.temp_data.setdefault('executed_names', {'__name__': '__main__'})
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile(code, self.env.docname, 'exec'), names)
        except Exception:
            raise self.error(f'the example does not run:\n{traceback.format_exc()}') from None
        shown = [nodes.literal_block(code, code, language='python')]
        if output := printed.getvalue().rstrip():
            shown.append(nodes.literal_block(output, output, language='text', classes=['output']))
        return shown


def setup(app):
    app.add_directive('executed', Executed)
    return {'parallel_read_safe': True}
