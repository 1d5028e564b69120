"""Calibration of cameras and of cameras against arms: boards, detection, intrinsics, capture, reports."""
