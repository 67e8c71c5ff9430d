"""Bits of a codec's headers, read one field after another."""

from __future__ import annotations


class Malformed(ValueError):
    """The bytes are not what the codec's specification says that they are."""


class Bits:
    """The bits of some bytes, the most significant of each byte first.

    Attributes:
        left: how many have not been read.
    """

    def __init__(self, content: bytes) -> None:
        self._value = int.from_bytes(content, "big")
        self.left = 8 * len(content)

    def take(self, count: int) -> int:
        """The next ``count`` bits as an unsigned integer.

        Raises:
            Malformed: there are fewer.
        """
        if count > self.left:
            raise Malformed
        self.left -= count
        return self._value >> self.left & ((1 << count) - 1)

    def skip(self, count: int) -> None:
        self.take(count)

    def golomb(self) -> int:
        """An unsigned Exp-Golomb code: ue(v) in H.264, section 9.1, and H.265, section 9.2; uvlc() in AV1."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise Malformed
        return (1 << zeros) - 1 + self.take(zeros)

    def signed_golomb(self) -> int:
        """A signed Exp-Golomb code: se(v)."""
        code = self.golomb()
        return (code + 1) // 2 if code % 2 else -(code // 2)
