"""What is done to a trained model inside of Python: other precisions, operations counted, a profile of the kernels.

    python benchmarks/gpu/inside.py fp64 best.ckpt fp64.ckpt
    python benchmarks/gpu/inside.py bf16 ARGUMENTS OF nequip-compile
    python benchmarks/gpu/inside.py count best.ckpt structure.extxyz cuda
    python benchmarks/gpu/inside.py profile model.nequip.pt2 structure.extxyz cuda

The last two print their results as a line of JSON.
"""

import json
import sys
import time

import torch

PROFILED_CALLS, SHOWN_KERNELS = 20, 12


def to_fp64(source: str, target: str) -> None:
    """Write a checkpoint whose weights and model are of double precision."""
    checkpoint = torch.load(source, map_location='cpu', weights_only=False)

    def converted(value):
        if isinstance(value, torch.Tensor):
            return value.double() if value.is_floating_point() else value
        if isinstance(value, dict):
            return type(value)((key, converted(entry)) for key, entry in value.items())
        return value

    def restated(value):
        if isinstance(value, dict):
            return {key: 'float64' if key == 'model_dtype' else restated(entry) for key, entry in value.items()}
        return [restated(entry) for entry in value] if isinstance(value, list) else value

    checkpoint['state_dict'] = converted(checkpoint['state_dict'])
    if 'ema_state_dict' in checkpoint:
        checkpoint['ema_state_dict'] = converted(checkpoint['ema_state_dict'])
    checkpoint['hyper_parameters'] = restated(checkpoint['hyper_parameters'])
    torch.save(checkpoint, target)


def compile_bf16(arguments: list[str]) -> None:
    """Run nequip-compile on a model whose linear layers multiply in BF16 and give FP32."""
    from nequip.nn.mlp import ScalarLinearLayer
    from nequip.scripts.compile import main as nequip_compile

    def forward(self, values):
        weight = (self.weight * self.alpha).to(torch.bfloat16)
        product = torch.mm(values.to(torch.bfloat16), weight).to(values.dtype)
        return product if self.bias is None else product + self.bias

    ScalarLinearLayer.forward = forward
    nequip_compile(arguments)


def graph(structure: str, type_names: list[str], r_max: float, device: str) -> dict:
    """Return the tensors that the pair style gives to the model for a structure."""
    import ase.io
    from allegro._compile import allegro_data_settings
    from nequip.data import AtomicDataDict
    from nequip.data.ase import from_ase
    from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper, NeighborListTransform

    data = from_ase(ase.io.read(structure))
    for transform in (ChemicalSpeciesToAtomTypeMapper(type_names), NeighborListTransform(r_max=r_max)):
        data = transform(data)
    return AtomicDataDict.to_(allegro_data_settings(data), torch.device(device))


class Counter(torch.utils._python_dispatch.TorchDispatchMode):
    """Counts the operations of matrix products, and the bytes that they read and write."""

    flops = 0
    bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        name = function.overloadpacket.__name__
        if name in ('mm', 'addmm', 'bmm', 'baddbmm'):
            left, right = args[-2:]
            self.flops += 2 * left.numel() * right.shape[-1]
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in (left, right, result))
        elif name in ('mul', 'sum', 'einsum') and isinstance(result, torch.Tensor):
            self.flops += max(value.numel() for value in (result, *args) if isinstance(value, torch.Tensor))
        return result


def count(checkpoint: str, structure: str, device: str) -> dict:
    """Return the operations of one call of the model with its forces, by the tensors of the model as it is written."""
    from nequip.model.saved_models.load_utils import load_saved_model
    from nequip.model.utils import _EAGER_MODEL_KEY
    from nequip.utils.global_state import set_global_state

    set_global_state(allow_tf32=False)
    model = load_saved_model(checkpoint, _EAGER_MODEL_KEY, 'sole_model').to(device).eval()
    data = graph(structure, model.metadata['type_names'].split(), float(model.metadata['r_max']), device)
    with Counter() as counter:
        model(data)
    return {'gflop': counter.flops / 1e9, 'gbyte': counter.bytes / 1e9, 'edges': data['edge_index'].shape[1]}


def profile(path: str, structure: str, device: str) -> dict:
    """Return the time of a call of a compiled model, and of the kernels that take most of it."""
    model = torch._inductor.aoti_load_package(path)
    metadata = model.get_metadata()
    data = graph(structure, metadata['type_names'].split(), float(metadata['r_max']), device)
    inputs = [data[name] for name in metadata['nequip_aoti_inputs'].split()]
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device == 'cuda':
        activities.append(torch.profiler.ProfilerActivity.CUDA)
        torch.backends.cuda.matmul.allow_tf32 = metadata['allow_tf32'] == '1'

    def calls() -> float:
        start = time.perf_counter()
        for _ in range(PROFILED_CALLS):
            model(*inputs)
        if device == 'cuda':
            torch.cuda.synchronize()
        return 1000 * (time.perf_counter() - start) / PROFILED_CALLS

    calls()
    ms_per_call = calls()
    with torch.profiler.profile(activities=activities) as profiler:
        calls()
    own_time = 'self_device_time_total' if device == 'cuda' else 'self_cpu_time_total'
    kernels = sorted(profiler.key_averages(), key=lambda event: -getattr(event, own_time))[:SHOWN_KERNELS]
    shown = [
        {'kernel': event.key[:80], 'ms_per_call': getattr(event, own_time) / 1000 / PROFILED_CALLS} for event in kernels
    ]
    return {'ms_per_call': ms_per_call, 'kernels': shown}


def main() -> None:
    command, *arguments = sys.argv[1:]
    if command == 'bf16':
        compile_bf16(arguments)
    elif command == 'fp64':
        to_fp64(*arguments)
    else:
        print(json.dumps({'count': count, 'profile': profile}[command](*arguments)))


if __name__ == '__main__':
    main()
