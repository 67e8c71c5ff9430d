"""Labels that were published, to label by."""

from __future__ import annotations

COGVIDEOX = {
    "editing": "The clip is edited: cuts, transitions or effects break up what is seen.",
    "lack_of_motion_connectivity": "Movement does not go on from picture to picture: stills joined, or a slide show.",
    "low_quality": "Blurred, noisy, over-compressed or shaking pictures.",
    "lecture_type": "Mostly somebody who talks, with little movement: lectures, news, streams.",
    "text_dominated": "Much of the picture is text.",
    "noisy_screenshots": "Recorded from a screen, of a phone or a computer.",
}
"""The six labels of clips that were left out of CogVideoX's training (arXiv 2408.06072), in words of our own."""
