"""The services that list and forget taught objects, and the library of a node.

A node without a library does not import torch.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from molmo_point_msgs.srv import ForgetTaught, ListTaught

from molmo_point.errors import InputError, MolmoPointError
from molmo_point.model.taught.object_names import checked_name, name_key
from molmo_point.pointer import Pointer
from molmo_point_ros.conversions.taught_objects import taught_message
from molmo_point_ros.nodes.goal_error import brief

if TYPE_CHECKING:
    from molmo_point.teaching.taught_layer import TaughtLayer

_THROTTLE_S = 5.0


def open_taught_layer(pointer: Pointer, path: str, logger: Any) -> "TaughtLayer | None":
    """Open the library of a node above its model; None if the parameter `taught` names no file.

    Raises:
        InputError: The file cannot be used.
    """

    def warn(reason: str) -> None:
        logger.warning(f"taught: {brief(reason)}; the objects before that stay in use", throttle_duration_sec=_THROTTLE_S)

    if not path.strip():
        return None
    from molmo_point.teaching.taught_layer import TaughtLayer

    return TaughtLayer(pointer.backend, Path(path).expanduser(), warn)


def opened(layer: "TaughtLayer | None") -> "TaughtLayer":
    """Return the layer of a node.

    Raises:
        InputError: The node has none.
    """
    if layer is None:
        raise InputError("The node must have a library", "the parameter taught is empty", "set it to a file, and start again")
    return layer


def list_taught(request: ListTaught.Request, response: ListTaught.Response, layer: "TaughtLayer | None") -> ListTaught.Response:
    """Answer a request to list the taught objects."""
    try:
        library = opened(layer).refresh()
        response.objects = [taught_message(each, library, thumbnail=request.thumbnails) for each in library.objects]
        response.library, response.success = str(opened(layer).path), True
    except MolmoPointError as error:
        response.message = brief(str(error))
    return response


def forget_taught(
    request: ForgetTaught.Request, response: ForgetTaught.Response, layer: "TaughtLayer | None"
) -> ForgetTaught.Response:
    """Answer a request to forget a taught object, named by its name."""
    try:
        name = checked_name(request.name)
        found = opened(layer).refresh().find(name)
        if name_key(name) != name_key(found.name):
            raise InputError("name must be the object's own", f"{name!r} is another name of {found.name!r}", "send its name")
        opened(layer).forget(found.name)
        response.success = True
    except MolmoPointError as error:
        response.message = brief(str(error))
    return response
