"""Parameters of a pointing node whose camera has no depth: a known plane, and several views."""

from dataclasses import dataclass

from molmo_point.geometry.known_plane import HEIGHT_M, HEIGHT_SIGMA_M, KnownPlane
from molmo_point_ros.parameter_declaration import NodeParameters, parameter


@dataclass(frozen=True, eq=False)
class WithoutDepth:
    """Settings for frames without depth.

    Attributes:
        plane: Plane that their points are placed on; None for none.
        world_frame: Frame in which answers about several views are joined; "" joins none.
    """

    plane: KnownPlane | None = None
    world_frame: str = ""

    @property
    def frames(self) -> tuple[str, ...]:
        """Frames whose transforms are needed; "" for none."""
        return ("" if self.plane is None else self.plane.frame, self.world_frame)


NO_PLANE = WithoutDepth()


@dataclass(frozen=True)
class WithoutDepthParameters(NodeParameters):
    """Parameters for a camera without depth."""

    plane_frame: str = parameter("", "Without depth: frame with z up in which the table is level; empty: no plane", frame=True)
    plane_z_m: float = parameter(0.0, "Without depth: height of the table in plane_frame", (-100.0, 100.0))
    plane_height_m: float = parameter(HEIGHT_M, "Without depth: height of the surfaces above the table", (0.0, 10.0))
    plane_height_sigma_m: float = parameter(HEIGHT_SIGMA_M, "Without depth: standard deviation of that height", (0.0, 10.0))
    triangulate_s: float = parameter(
        0.0, "Without depth: age up to which answers about other views of a still scene are joined; 0: never", (0.0, 3600.0)
    )

    def without_depth(self, world_frame: str) -> WithoutDepth:
        """Return the settings.

        Args:
            world_frame: Frame of the positions, in which views are joined without a plane; "" is the optical frame.
        """
        frame = self.plane_frame.lstrip("/")
        heights = {"height_m": self.plane_height_m, "height_sigma_m": self.plane_height_sigma_m}
        plane = KnownPlane.level(frame, self.plane_z_m, **heights) if frame else None
        return WithoutDepth(plane, (frame or world_frame) if self.triangulate_s > 0 else "")
