"""Draws the sprite atlas from the Noto Color Emoji font. Needed only when the subjects change; wants Pillow.

apt-get download fonts-noto-color-emoji && dpkg -x fonts-noto-color-emoji_*.deb noto
python -m framescribe.synthetic.build_atlas noto/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf
"""

from __future__ import annotations

import sys
from pathlib import Path

from framescribe.errors import UsageError
from framescribe.synthetic.sprites import ATLAS_COLUMNS, ATLAS_PATH, CELL_PX
from framescribe.synthetic.subjects import CHARACTERS

BITMAP_SIZE = 109  # the one size at which the font holds bitmaps (136 x 128 pixels)


def build_atlas(font_path: Path, atlas_path: Path) -> None:
    """Writes an RGBA PNG, one square cell a subject, row by row; each sprite fills its cell."""
    from PIL import Image, ImageDraw, ImageFont  # type: ignore[import-not-found,unused-ignore]

    font = ImageFont.truetype(font_path, BITMAP_SIZE)
    rows = -(-len(CHARACTERS) // ATLAS_COLUMNS)
    atlas = Image.new("RGBA", (ATLAS_COLUMNS * CELL_PX, rows * CELL_PX))
    for index, (subject, character) in enumerate(CHARACTERS.items()):
        glyph = Image.new("RGBA", (136, 136))
        ImageDraw.Draw(glyph).text((0, 0), character, font=font, embedded_color=True)
        box = glyph.getbbox()
        if box is None:
            raise UsageError(f"{font_path} has no glyph {character!r} for {subject!r}")
        sprite = glyph.crop(box)
        scale = (CELL_PX - 2) / max(sprite.size)  # a transparent rim, so that edges fade when turned
        size = (max(1, round(sprite.width * scale)), max(1, round(sprite.height * scale)))
        sprite = sprite.resize(size, Image.Resampling.LANCZOS)
        row, column = divmod(index, ATLAS_COLUMNS)
        left = column * CELL_PX + (CELL_PX - size[0]) // 2
        top = row * CELL_PX + (CELL_PX - size[1]) // 2
        atlas.paste(sprite, (left, top))
    atlas.save(atlas_path, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m framescribe.synthetic.build_atlas NotoColorEmoji.ttf")
    build_atlas(Path(sys.argv[1]), ATLAS_PATH)
