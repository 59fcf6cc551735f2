"""A device that computes on the CPU, lists what would wait for a GPU, and refuses tensors of the CPU beside its own."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from faceguard.device import make_fabric

DEVICE = torch.device("meta")  # PyTorch knows it and computes nothing there itself
READING = {"_local_scalar_dense", "item", "is_nonzero", "equal"}  # item and to come undivided in inference mode
ASKING = READING | {"nonzero", "_unique2", "unique_dim", "bincount", "masked_select"}  # how large the result is


class Remote(torch.Tensor):
    """A tensor on the device; ``inner`` holds its values."""

    @staticmethod
    def __new__(cls, inner):
        about = {"strides": inner.stride(), "storage_offset": inner.storage_offset(), "dtype": inner.dtype}
        remote = torch.Tensor._make_wrapper_subclass(cls, inner.size(), device=DEVICE, **about)
        remote.inner = inner
        return remote

    @classmethod
    def __torch_dispatch__(cls, operation, _, args=(), kwargs=None):
        raise RuntimeError("The device is there only inside ``Waits``.")

    def tolist(self):
        self.flatten()[0].item()  # one question for all of them
        return self.inner.tolist()


class Waits(TorchDispatchMode):
    """Inside, tensors can be on the device, and ``waits`` grows by the name of every operation that would wait for it."""

    def __init__(self):
        super().__init__()
        self.waits = []

    def fabric(self):
        """A fabric whose network lies on the device."""
        fabric = make_fabric(device="cpu")
        fabric._strategy._root_device, fabric._accelerator.setup_device = DEVICE, lambda device: None
        return fabric

    def __torch_dispatch__(self, operation, _, args=(), kwargs=None):
        name, names = operation._schema.name.removeprefix("aten::"), [one.name for one in operation._schema.arguments]
        given = dict(zip(names, args, strict=False)) | (kwargs or {})
        tensors = [leaf for leaf in tree_leaves(given) if isinstance(leaf, torch.Tensor)]
        ours = [tensor for tensor in tensors if isinstance(tensor, Remote)]
        wish = given.get("device")
        remote = bool(ours) if wish is None else torch.device(wish) == DEVICE
        if name in ("to", "_to_copy", "copy_"):
            crosses = bool(ours) != remote or 0 < len(ours) < len(tensors)
            waits = crosses and not given.get("non_blocking")
        else:
            mixed = bool(ours) and any(tensor.ndim for tensor in tensors if not isinstance(tensor, Remote))
            indexes = name.strip("_") in ("index", "index_put", "index_put_impl")
            if mixed and not indexes:
                raise RuntimeError(f"{name} got tensors of two devices")
            masked = indexes and any(tensor.dtype == torch.bool for tensor in tensors[1:])
            waits = bool(ours) and (name in ASKING or mixed or masked)
        self.waits += [name] * waits
        if wish is not None:
            given["device"] = "cpu"
        known = {id(tensor.inner if isinstance(tensor, Remote) else tensor): tensor for tensor in tensors}
        found = operation(**tree_map(lambda leaf: leaf.inner if isinstance(leaf, Remote) else leaf, given))

        def placed(result):
            if not isinstance(result, torch.Tensor) or (name == "to" and remote != bool(ours)):
                return Remote(result) if remote and isinstance(result, torch.Tensor) else result
            return known.get(id(result), Remote(result) if remote else result)

        return tree_map(placed, found)
