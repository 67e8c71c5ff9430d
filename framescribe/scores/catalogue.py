"""The scorers that there are: what each measures, in which unit, and what it has to be given.

Where a definition comes from stands in the scorer's own file.
"""

from __future__ import annotations

from framescribe.scores.scorer import Score, Scorer

_OPENCV = "opencv-python-headless"

COPY_SCORES = ("near_duplicates", "duplicate_number")
"""Of a clip among the others: how many are copies of it, and which of them it is."""

SCORERS: tuple[Scorer, ...] = (
    Scorer(
        "video",
        1,
        (
            Score("width", "px", "wider pictures", "width of the displayed picture"),
            Score("height", "px", "taller pictures", "height of the displayed picture"),
            Score("aspect", "", "wider than tall", "width divided by height"),
            Score("fps", "1/s", "more frames a second", "average frame rate"),
            Score("duration_s", "s", "longer", "length of the clip, as far as it can be read"),
            Score(
                "bits_per_pixel",
                "bit",
                "less compressed",
                "bits of the video's packets for each pixel of each frame",
            ),
        ),
    ),
    Scorer(
        "motion",
        3,
        (
            Score(
                "motion",
                "px",
                "more or faster movement",
                "mean length of the optical flow over half a second, in pixels of the video",
            ),
            Score(
                "motion_diagonals",
                "1/s",
                "more or faster movement",
                "mean speed of the optical flow, in diagonals of the picture a second, whatever its size",
            ),
            Score(
                "static_share",
                "share",
                "longer still",
                "share of the time during which (almost) nothing moves",
            ),
            Score(
                "direction_spread",
                "0 to 1",
                "movement in all directions",
                "0: all moves one way, as in a pan; 1: the movements cancel out, as in a zoom",
            ),
        ),
        ("small", "tiny"),
        _OPENCV,
    ),
    Scorer(
        "shake",
        3,
        (
            Score(
                "shake",
                "% of the diagonal",
                "a camera that shakes more",
                "how far the whole picture strays from its own mean path of half a second (root mean square)",
            ),
        ),
        ("tiny",),
    ),
    Scorer(
        "stillness",
        4,
        (
            Score(
                "frame_change",
                "levels of 255",
                "more changes",
                "mean difference between each tiny grey picture and the next, mostly a tenth of a second later",
            ),
            Score(
                "repeated_share",
                "share",
                "more repeated frames",
                "share of frames that show what the last one did",
            ),
            Score(
                "longest_still_s",
                "s",
                "stands still longer",
                "longest time during which the picture stands still",
            ),
            Score(
                "slide_share",
                "share",
                "more of a slide show",
                "share of the time during which pictures stand still that then give way to others",
            ),
            Score(
                "ends_difference",
                "levels of 255",
                "ends otherwise than it began",
                "mean difference between the first and the last tiny grey frame",
            ),
        ),
        ("tiny",),
    ),
    Scorer(
        "cuts",
        3,
        (
            Score("cuts", "", "more cuts inside the clip", "number of cuts inside the clip"),
            Score(
                "cuts_per_s", "1/s", "more cuts inside the clip", "cuts inside the clip for each second of it"
            ),
        ),
        ("tiny",),
    ),
    Scorer(
        "sharpness",
        3,
        (
            Score(
                "edge_sharpness",
                "levels of 255",
                "sharper",
                "Laplacian of the strongest edges (1 in 1000 points) of up to five pictures, their median",
            ),
            Score(
                "laplacian_variance",
                "levels squared",
                "sharper, richer in contrast and detail",
                "variance of the Laplacian of up to five pictures of at most 1280 pixels, their median",
            ),
            Score(
                "flat_share",
                "share",
                "drawn, or a screen's content",
                "share of points that equal both the next one and the one below",
            ),
        ),
        ("large_grey",),
    ),
    Scorer(
        "exposure",
        3,
        (
            Score("brightness", "levels of 255", "brighter", "mean luma"),
            Score(
                "contrast",
                "levels of 255",
                "more contrast",
                "standard deviation of a picture's luma, their mean",
            ),
            Score("overexposed_share", "share", "overexposed", "share of points whose luma is above 250"),
            Score("underexposed_share", "share", "underexposed", "share of points whose luma is below 5"),
            Score(
                "bad_exposure_share",
                "share",
                "more badly exposed pictures",
                "share of pictures of which more than 12 % are above 250, or below 5",
            ),
        ),
        ("small",),
    ),
    Scorer(
        "colour",
        3,
        (
            Score("saturation", "0 to 1", "more colourful", "mean saturation (HSV)"),
            Score(
                "colour_variance",
                "levels squared",
                "more colourful",
                "mean variance of a point's red, green and blue",
            ),
            Score(
                "grey_share",
                "share",
                "more grey pictures",
                "share of pictures whose colour variance is below 1.2",
            ),
        ),
        ("small",),
    ),
    Scorer(
        "borders",
        3,
        (
            Score(
                "border_share",
                "share",
                "wider borders",
                "share of the picture that bars along its edges take",
            ),
            Score(
                "letterbox_share",
                "share",
                "higher bars",
                "share of the height that bars above and below take",
            ),
            Score(
                "pillarbox_share", "share", "wider bars", "share of the width that bars left and right take"
            ),
            Score(
                "dark_edge_share",
                "share",
                "more pictures with a black edge",
                "share of pictures of which a strip of 3 % along an edge has a mean luma below 3",
            ),
        ),
        ("small",),
    ),
    Scorer(
        "motion_vectors",
        2,
        (
            Score(
                "motion_vector_mean",
                "share of width + height",
                "more or faster movement",
                "mean length of the coded motion vectors over the picture, as NVIDIA's curation of Cosmos has it; "
                "none where the codec's decoder gives none (H.264 and MPEG-4 do)",
            ),
            Score(
                "motion_vector_patch_min",
                "share of width + height",
                "movement everywhere",
                "the same in the patch of 256 x 256 pixels that moves least, at its middle",
            ),
            Score(
                "motion_vector_px",
                "px",
                "more or faster movement",
                "mean length of a motion vector, in pixels of the coded picture",
            ),
        ),
        ("vectors",),
        is_default=False,
    ),
    Scorer("fingerprint", 4, (), ("small", "tiny"), features_of="fingerprint-4"),
    Scorer(
        "text",
        3,
        (
            Score(
                "text_area_share",
                "share",
                "more text",
                "share of the picture in boxes around lines of text, mean of five pictures",
            ),
            Score(
                "read_text_area_share",
                "share",
                "more text",
                "the same of what is read with a confidence above 0.7",
            ),
            Score(
                "detected_text_area_share",
                "share",
                "more text, or things that look like it to a detector",
                "the same of all that rapidocr's detector marks, of whatever shape",
            ),
            Score(
                "text_persistence",
                "share",
                "text that stays",
                "largest share of the pictures in which one line of text stands at the same place",
            ),
            Score(
                "subtitle_share",
                "share",
                "more subtitles",
                "share of the pictures with text below, around the middle",
            ),
            Score(
                "corner_text_share",
                "share",
                "more logos and time stamps",
                "share of the pictures with text in a corner",
            ),
        ),
        ("large",),
        "rapidocr",
        is_default=False,
    ),
)
