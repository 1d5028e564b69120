"""Boards, detection, intrinsics, hand-eye runs, verification and reports: what `molmo-point calibrate` does.

The mathematics is in `geometry.hand_eye` and `geometry.camera_fit`; here is what touches images, files and people.
"""
