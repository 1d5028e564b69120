"""Point tracking between two answers of a slow model. OpenCV is imported when a tracker is created."""

from molmo_point.tracking.point_tracker import PointTracker
from molmo_point.tracking.track import LostReason, Track, Tracks, TrackState

__all__ = ["LostReason", "PointTracker", "Track", "TrackState", "Tracks"]
