"""The decoder's library, libnvcuvid, as C sees it: structures, constants and callbacks.

Source: cuviddec.h and nvcuvid.h of NVIDIA's Video Codec SDK 13.
"""

from __future__ import annotations

from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_char_p,
    c_int,
    c_longlong,
    c_short,
    c_ubyte,
    c_uint,
    c_uint64,
    c_ulong,
    c_ushort,
    c_void_p,
)

CODECS = {"h264": 4, "hevc": 8}
CHROMA_420 = 1
NV12 = 0
WEAVE = 0
PREFER_CUVID = 4
END_OF_STREAM, TIMESTAMP, END_OF_PICTURE = 1, 2, 8
IN_PROGRESS, SUCCESS = 1, 2


class DecodeCaps(Structure):
    """CUVIDDECODECAPS: what the card can decode."""

    _fields_ = [
        ("codec", c_int),
        ("chroma_format", c_int),
        ("bit_depth_minus_8", c_uint),
        ("reserved1", c_uint * 3),
        ("is_supported", c_ubyte),
        ("num_decoders", c_ubyte),
        ("output_formats", c_ushort),
        ("max_width", c_uint),
        ("max_height", c_uint),
        ("max_macroblocks", c_uint),
        ("min_width", c_ushort),
        ("min_height", c_ushort),
        ("has_histogram", c_ubyte),
        ("counter_bit_depth", c_ubyte),
        ("max_bins", c_ushort),
        ("reserved3", c_uint * 10),
    ]


class Area(Structure):
    """A part of a picture."""

    _fields_ = [("left", c_short), ("top", c_short), ("right", c_short), ("bottom", c_short)]


class CreateInfo(Structure):
    """CUVIDDECODECREATEINFO."""

    _fields_ = [
        ("width", c_ulong),
        ("height", c_ulong),
        ("num_decode_surfaces", c_ulong),
        ("codec", c_int),
        ("chroma_format", c_int),
        ("creation_flags", c_ulong),
        ("bit_depth_minus_8", c_ulong),
        ("is_intra_only", c_ulong),
        ("max_width", c_ulong),
        ("max_height", c_ulong),
        ("reserved1", c_ulong),
        ("display_area", Area),
        ("output_format", c_int),
        ("deinterlace_mode", c_int),
        ("target_width", c_ulong),
        ("target_height", c_ulong),
        ("num_output_surfaces", c_ulong),
        ("lock", c_void_p),
        ("target_rect", Area),
        ("enable_histogram", c_ulong),
        ("reserved2", c_ulong * 4),
    ]


class PictureParams(Structure):
    """The beginning of CUVIDPICPARAMS, which the parser fills and the decoder takes."""

    _fields_ = [("width_in_macroblocks", c_int), ("height_in_macroblocks", c_int), ("index", c_int)]


class ProcessingParams(Structure):
    """CUVIDPROCPARAMS: how a picture is given out."""

    _fields_ = [
        ("is_progressive", c_int),
        ("second_field", c_int),
        ("top_field_first", c_int),
        ("unpaired_field", c_int),
        ("reserved_flags", c_uint),
        ("reserved_zero", c_uint),
        ("raw_input", c_uint64),
        ("raw_input_pitch", c_uint),
        ("raw_input_format", c_uint),
        ("raw_output", c_uint64),
        ("raw_output_pitch", c_uint),
        ("reserved1", c_uint),
        ("stream", c_void_p),
        ("reserved", c_uint * 46),
        ("histogram", c_void_p),
        ("reserved2", c_void_p),
    ]


class DecodeStatus(Structure):
    """CUVIDGETDECODESTATUS."""

    _fields_ = [("status", c_int), ("reserved", c_uint * 31), ("reserved_pointers", c_void_p * 8)]


class _Rectangle(Structure):
    _fields_ = [("left", c_int), ("top", c_int), ("right", c_int), ("bottom", c_int)]


class VideoFormat(Structure):
    """CUVIDEOFORMAT: what a sequence header says."""

    _fields_ = [
        ("codec", c_int),
        ("frame_rate", c_uint * 2),
        ("is_progressive", c_ubyte),
        ("luma_bits_minus_8", c_ubyte),
        ("chroma_bits_minus_8", c_ubyte),
        ("min_decode_surfaces", c_ubyte),
        ("coded_width", c_uint),
        ("coded_height", c_uint),
        ("display_area", _Rectangle),
        ("chroma_format", c_int),
        ("bitrate", c_uint),
        ("aspect_ratio", c_int * 2),
        ("signal_description", c_ubyte * 4),
        ("header_length", c_uint),
    ]


class SourcePacket(Structure):
    """CUVIDSOURCEDATAPACKET."""

    _fields_ = [
        ("flags", c_ulong),
        ("size", c_ulong),
        ("payload", c_char_p),
        ("timestamp", c_longlong),
    ]


class DisplayInfo(Structure):
    """CUVIDPARSERDISPINFO: the picture that is shown next."""

    _fields_ = [
        ("index", c_int),
        ("is_progressive", c_int),
        ("top_field_first", c_int),
        ("repeat_first_field", c_int),
        ("timestamp", c_longlong),
    ]


SequenceCallback = CFUNCTYPE(c_int, c_void_p, POINTER(VideoFormat))
DecodeCallback = CFUNCTYPE(c_int, c_void_p, POINTER(PictureParams))
DisplayCallback = CFUNCTYPE(c_int, c_void_p, POINTER(DisplayInfo))


class ParserParams(Structure):
    """CUVIDPARSERPARAMS."""

    _fields_ = [
        ("codec", c_int),
        ("max_decode_surfaces", c_uint),
        ("clock_rate", c_uint),
        ("error_threshold", c_uint),
        ("max_display_delay", c_uint),
        ("flags", c_uint),
        ("reserved1", c_uint * 4),
        ("user_data", c_void_p),
        ("on_sequence", SequenceCallback),
        ("on_decode", DecodeCallback),
        ("on_display", DisplayCallback),
        ("on_operating_point", c_void_p),
        ("on_message", c_void_p),
        ("reserved2", c_void_p * 5),
        ("extended_format", c_void_p),
    ]
