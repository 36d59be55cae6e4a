"""The benchmark of the GPU: its parts are kept, failures do not stop it, and its tables hold what was measured."""

import importlib.util
import json
import pathlib

import pytest

PATH = pathlib.Path(__file__).parents[2] / 'benchmarks' / 'gpu' / 'run.py'
SPEED = {'ms_per_step': 10.0, 'ns_per_day': 17.28, 'outside_model': 0.05}
PARTS = {
    'talk, operations': {'gflop': 134.0, 'gbyte': 4.8},
    'talk, MD FP32 Triton, 1': SPEED,
    'talk, MD TF32, 2': SPEED,
    'talk, MD BF16, 1': {'error': 'Traceback:\nCUDA out of memory'},
    'talk, forces TF32': {'mean_eV_per_A': 1e-4, 'largest_eV_per_A': 2e-3},
}


@pytest.fixture(scope='module')
def benchmark():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location('gpu_benchmark', PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def parts(benchmark, tmp_path):
    """Return a function that gives the parts with what earlier calls have left."""
    path = tmp_path / 'device.json'
    return lambda budget_s=60, again=False, steps=10: benchmark.Parts(path, {'steps': steps}, budget_s, again)


def fail():
    raise RuntimeError('out of memory')


def test_parts_that_are_done_are_kept(parts):
    assert parts().do('a', lambda: {'value': 1})['value'] == 1
    assert parts().do('a', fail)['value'] == 1


def test_parts_of_other_settings_are_not_taken(parts):
    parts(steps=10).do('a', lambda: {'value': 1})
    assert parts(steps=20).do('a', lambda: {'value': 2})['value'] == 2


def test_nothing_begins_after_the_budget(parts):
    """What is left is named, and another call goes on with it."""
    late = parts(budget_s=-1)
    assert late.do('a', lambda: {'value': 1}) is None
    assert late.left == {'a'}
    assert parts().do('a', lambda: {'value': 1})['value'] == 1


def test_failures_are_kept_until_they_are_repeated(parts):
    """The other parts go on after a failure, and `--again` repeats it."""
    first = parts()
    assert first.do('a', fail) is None
    assert 'out of memory' in json.loads(first.path.read_text())['parts']['a']['error']
    assert parts().do('a', lambda: {'value': 1}) is None
    assert parts(again=True).do('a', lambda: {'value': 1})['value'] == 1


def test_roofline(benchmark):
    """Products bound FP32 here, 134 GFLOP at 67 TFLOP/s; memory bounds TF32, 4.8 GB at 4.8 TB/s."""
    operations = PARTS['talk, operations']
    assert benchmark.roofline_ms('NVIDIA H200', 'FP32', operations) == pytest.approx(2.0)
    assert benchmark.roofline_ms('NVIDIA H200', 'TF32', operations) == pytest.approx(1.0)
    assert benchmark.roofline_ms('an unknown device', 'FP32', operations) is None


def test_report(benchmark):
    """The table has every measured case beside its roofline, and failures with the last line of their message."""
    text = benchmark.report('NVIDIA H200', PARTS)
    lines = [[cell.strip() for cell in line.split('|')] for line in text.splitlines()]
    assert ['', 'talk', 'FP32 Triton', '1', '10', '2', '17.28', '40.2', '5 %', ''] in lines
    assert ['', 'talk', 'TF32', '2', '10', '2', '17.28', '40.2', '5 %', ''] in lines
    assert '- talk, MD BF16, 1: `CUDA out of memory`' in text


def test_targets_are_of_one_cell(benchmark):
    """Replicas do not count for the speed of one cell of the talk."""
    lines = benchmark.results(PARTS)
    assert 'RESULT gpu_talk_fp32=40.2 target=17 met' in lines
    assert 'RESULT gpu_talk_tf32=0.0 target=40 missed' in lines
    assert 'RESULT gpu_outside=5.0 target=10 met' in lines
