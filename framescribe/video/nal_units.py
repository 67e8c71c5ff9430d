"""H.264 and HEVC, as far as it takes to know which pictures no other refers to. Pure; strangers' bytes."""

from __future__ import annotations

from collections.abc import Iterator

from framescribe.video.bits import Bits, Malformed

_LONGEST_PARAMETERS = 4096
"""More bytes of a parameter set are not looked at."""
_RECOVERY_POINT, _FILM_GRAIN = 6, 19
"""Kinds of supplemental information."""


class NalUnits:
    """A stream whose packets are NAL units: what H.264 and HEVC share.

    Args:
        extradata: what the container holds of the stream's start: a configuration record, start codes, or nothing.

    Raises:
        Malformed: it is no such thing.
    """

    _SLICES: frozenset[int]
    """Types of the NAL units that hold slices of pictures that others may not refer to."""
    _WITHOUT_EFFECT: frozenset[int]
    """Types that change nothing for later pictures: delimiters, filler, supplemental information but for film grain."""
    _INFORMATION: frozenset[int]
    """Types that hold supplemental information."""
    _SEQUENCE_PARAMETERS: int
    _HEADER_BYTES: int

    def __init__(self, extradata: bytes) -> None:
        self._length_bytes = 0
        self._has_parameters = False
        if extradata[:1] == b"\1":
            self._length_bytes, parameters = self._record(memoryview(extradata))
        else:
            parameters = list(_between_start_codes(extradata))
        for unit in parameters:
            if len(unit) > self._HEADER_BYTES and self._kind(unit) == self._SEQUENCE_PARAMETERS:
                self._read_parameters(unit)

    def is_disposable(self, packet: memoryview) -> bool:
        """Whether a packet is one picture, no other picture refers to it, and it says nothing that later ones need.

        Raises:
            Malformed: it is not made of NAL units, or has parameters that cannot be read.
        """
        pictures, may_go = 0, True
        units = (
            _with_lengths(packet, self._length_bytes) if self._length_bytes else _between_start_codes(packet)
        )
        for unit in units:
            if len(unit) <= self._HEADER_BYTES or unit[0] & 0x80:
                raise Malformed
            kind = self._kind(unit)
            if kind == self._SEQUENCE_PARAMETERS:
                self._read_parameters(unit)
            if kind in self._SLICES:
                pictures += unit[self._HEADER_BYTES] >> 7  # the first slice of a picture begins with a 1
                may_go = may_go and self._is_not_referred_to(unit)
            elif kind not in self._WITHOUT_EFFECT or self._may_have_grain(unit):
                may_go = False
        return may_go and pictures == 1 and self._has_parameters

    def is_gradual(self, packet: memoryview) -> bool:
        """Whether decoding may start with a keyframe's packet, but gives whole pictures only some pictures later."""
        return False

    @classmethod
    def sequence_parameters(cls, packet: bytes) -> set[bytes]:
        """The sequence parameter sets in a packet with start codes.

        Raises:
            Malformed: it has none.
        """
        units = (unit for unit in _between_start_codes(packet) if len(unit) > cls._HEADER_BYTES)
        return {bytes(unit).rstrip(b"\0") for unit in units if cls._kind(unit) == cls._SEQUENCE_PARAMETERS}

    @classmethod
    def has_film_grain(cls, packet: bytes) -> bool:
        """Whether a packet with start codes asks for grain on its picture, and perhaps on those that follow."""
        return any(
            cls._may_have_grain(unit)
            for unit in _between_start_codes(packet)
            if len(unit) > cls._HEADER_BYTES
        )

    @classmethod
    def _may_have_grain(cls, unit: memoryview) -> bool:
        if cls._kind(unit) not in cls._INFORMATION:
            return False
        try:
            return _finds(Bits(_payload(unit[cls._HEADER_BYTES :])), _FILM_GRAIN)
        except Malformed:
            return True  # or longer than what is looked at

    def _units(self, packet: memoryview) -> Iterator[memoryview]:
        if self._length_bytes:
            return _with_lengths(packet, self._length_bytes)
        return _between_start_codes(packet)

    @staticmethod
    def _kind(unit: memoryview) -> int:
        raise NotImplementedError

    def _record(self, record: memoryview) -> tuple[int, list[memoryview]]:
        """The bytes of a length before each NAL unit, and the parameter sets."""
        raise NotImplementedError

    def _read_parameters(self, unit: memoryview) -> None:
        raise NotImplementedError

    def _is_not_referred_to(self, slice_unit: memoryview) -> bool:
        raise NotImplementedError


class H264(NalUnits):
    """ITU-T H.264. Pictures that may be stored as fields are never disposable: a packet may be half of a picture."""

    _SLICES = frozenset({1})
    _WITHOUT_EFFECT = frozenset({6, 9, 12})
    _INFORMATION = frozenset({6})
    _SEQUENCE_PARAMETERS = 7
    _HEADER_BYTES = 1

    @staticmethod
    def _kind(unit: memoryview) -> int:
        return unit[0] & 0x1F

    def _record(self, record: memoryview) -> tuple[int, list[memoryview]]:
        # ISO/IEC 14496-15, section 5.3.3.1: AVCDecoderConfigurationRecord
        if len(record) < 7:
            raise Malformed
        return (record[4] & 3) + 1, _counted(record, 6, record[5] & 0x1F)[0]

    def is_gradual(self, packet: memoryview) -> bool:
        units = (
            unit for unit in self._units(packet) if len(unit) > 1 and self._kind(unit) in self._INFORMATION
        )
        found = (Bits(_payload(unit[1:])) for unit in units)
        return any(
            _finds(bits, _RECOVERY_POINT) and bits.golomb() > 0 for bits in found
        )  # recovery_frame_cnt

    def _is_not_referred_to(self, slice_unit: memoryview) -> bool:
        return slice_unit[0] & 0x60 == 0  # nal_ref_idc

    def _read_parameters(self, unit: memoryview) -> None:
        if not _is_of_frames_only(Bits(_payload(unit[1:]))):
            raise Malformed
        self._has_parameters = True


class Hevc(NalUnits):
    """ITU-T H.265.

    Of several temporal layers only the highest one's pictures are disposable: those of a lower one may be referred to
    from above even where their type says that their own layer does not.
    """

    _SLICES = frozenset({0, 2, 4, 6, 8})  # TRAIL_N, TSA_N, STSA_N, RADL_N, RASL_N
    _WITHOUT_EFFECT = frozenset({35, 38, 39, 40})
    _INFORMATION = frozenset({39, 40})
    _SEQUENCE_PARAMETERS = 33
    _HEADER_BYTES = 2

    def __init__(self, extradata: bytes) -> None:
        self._highest_layer = 0
        super().__init__(extradata)

    @staticmethod
    def _kind(unit: memoryview) -> int:
        return unit[0] >> 1 & 0x3F

    def _record(self, record: memoryview) -> tuple[int, list[memoryview]]:
        # ISO/IEC 14496-15, section 8.3.3.1: HEVCDecoderConfigurationRecord
        if len(record) < 23:
            raise Malformed
        found: list[memoryview] = []
        at = 23
        for _ in range(record[22]):
            units, at = _counted(record, at + 3, int.from_bytes(record[at + 1 : at + 3], "big"))
            found += units
        return (record[21] & 3) + 1, found

    def _is_not_referred_to(self, slice_unit: memoryview) -> bool:
        layer = (slice_unit[0] & 1) << 5 | slice_unit[1] >> 3
        return layer == 0 and (slice_unit[1] & 7) - 1 == self._highest_layer

    def _read_parameters(self, unit: memoryview) -> None:
        self._highest_layer = max(self._highest_layer, unit[2] >> 1 & 7)  # sps_max_sub_layers_minus1
        self._has_parameters = True


def _with_lengths(packet: memoryview, length_bytes: int) -> Iterator[memoryview]:
    at = 0
    while at < len(packet):
        first = at + length_bytes
        at = first + int.from_bytes(packet[at:first], "big")
        if first >= at or at > len(packet):
            raise Malformed
        yield packet[first:at]


def _between_start_codes(packet: bytes | memoryview) -> Iterator[memoryview]:
    content = bytes(packet)
    at = content.find(b"\0\0\1")
    if content[: max(0, at)].strip(b"\0") or (at < 0 and content):
        raise Malformed
    while at >= 0:
        end = content.find(b"\0\0\1", at + 3)
        yield memoryview(content)[at + 3 : end if end >= 0 else len(content)]
        at = end


def _counted(record: memoryview, at: int, count: int) -> tuple[list[memoryview], int]:
    """``count`` NAL units, each behind its length in two bytes, and the place behind them."""
    found = []
    for _ in range(count):
        size = int.from_bytes(record[at : at + 2], "big")
        if size == 0 or at + 2 + size > len(record):
            raise Malformed
        found.append(record[at + 2 : at + 2 + size])
        at += 2 + size
    return found, at


def _payload(unit: memoryview) -> bytes:
    """A NAL unit's bytes without those that keep start codes from appearing in them."""
    return bytes(unit[:_LONGEST_PARAMETERS]).replace(b"\0\0\3", b"\0\0")


def _finds(bits: Bits, wanted: int) -> bool:
    """Reads on to the content of a kind of supplemental information (H.264, section 7.3.2.3.1), if there is one."""
    while bits.left >= 24:
        kind, size = _until_not_255(bits), _until_not_255(bits)
        if kind == wanted:
            return True
        bits.skip(8 * size)
    return False


def _until_not_255(bits: Bits) -> int:
    total = 0
    while (byte := bits.take(8)) == 255:
        total += byte
    return total + byte


_PROFILES_WITH_CHROMA = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}


def _is_of_frames_only(bits: Bits) -> bool:
    """frame_mbs_only_flag of a sequence parameter set (H.264, section 7.3.2.1.1)."""
    profile = bits.take(8)
    bits.skip(16)
    bits.golomb()
    if profile in _PROFILES_WITH_CHROMA:
        chroma_format = bits.golomb()
        if chroma_format == 3:
            bits.skip(1)
        bits.golomb()
        bits.golomb()
        bits.skip(1)
        if bits.take(1):
            for number in range(12 if chroma_format == 3 else 8):
                if bits.take(1):
                    _skip_scaling_list(bits, 16 if number < 6 else 64)
    bits.golomb()
    order_type = bits.golomb()
    if order_type == 0:
        bits.golomb()
    elif order_type == 1:
        bits.skip(1)
        bits.golomb()
        bits.golomb()
        for _ in range(min(bits.golomb(), 256)):
            bits.golomb()
    bits.golomb()
    bits.skip(1)
    bits.golomb()
    bits.golomb()
    return bool(bits.take(1))


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last, following = 8, 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_golomb()) % 256
        last = following or last
