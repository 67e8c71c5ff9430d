import pytest

from tests.reviewing.served import Server, append, caption_row, make_folder

HOSTILE = "<img src=x onerror=alert(1)><script>document.title='owned'</script>"
RIGHT_TO_LEFT = "طائرة ورقية حمراء ترتفع فوق البحر."


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """A server over 30 captions, of which some are awkward; tests leave its rows as they are."""
    home = tmp_path_factory.mktemp("review")
    changes = {
        1: {"caption": HOSTILE},
        2: {"caption": RIGHT_TO_LEFT},
        3: {"caption": "🪁 " * 5000},
        4: {"caption": "Cut off in the", "caption_status": "truncated", "flags": ("cut_off",)},
        5: {"caption": None, "caption_status": "error", "error_stage": "decode", "error_message": "broken"},
    }
    folder = make_folder(home / "clips", 30, changes)
    missing = home / "clips" / "gone.mp4"
    second = caption_row(home / "clips" / "clip-000.mp4", 0, "Only the kite moves.", prompt_index=1)
    append(folder, [caption_row(missing, 30), second])
    server = Server(folder, home / "cache")
    yield server
    server.stop()
