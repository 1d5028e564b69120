"""Points that keep up with the world between two answers of a slow model. OpenCV is loaded when a tracker is made."""

from molmo_point.tracking.point_tracker import PointTracker
from molmo_point.tracking.track import LostReason, Track, Tracks, TrackState

__all__ = ["LostReason", "PointTracker", "Track", "TrackState", "Tracks"]
