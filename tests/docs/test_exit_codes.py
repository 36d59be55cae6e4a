"""The page of exit codes is made from the code: what each work chain does after a failure without a handler."""

import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[2] / 'docs' / '_ext'))

exit_codes = pytest.importorskip('exit_codes', reason='Sphinx is not installed', exc_type=ImportError)


@pytest.mark.parametrize(
    ('name', 'said'),
    [
        ('LammpsMdBaseWorkChain', 'the job is run once more; a second such failure in a row ends the work chain'),
        ('RelaxBaseWorkChain', 'the job is run once more; a second such failure in a row ends the work chain'),
        ('PwSegmentWorkChain', 'the work chain ends'),
    ],
)
def test_unhandled_failure(name, said, aiida_profile):
    """The page says what the default of the input of the work chain does."""
    process_class = exit_codes.process_classes()[name]
    *_, last = exit_codes.handler_lines(process_class)
    assert last == f'After an exit status without a handler, {said}.'
    port = process_class.spec().inputs['on_unhandled_failure']
    default = port.default().value if port.has_default() else 'abort'
    assert exit_codes.UNHANDLED[default] == said
