"""Without --model the bundled one is used, says what it knows, and is right about an example clip."""

from typer.testing import CliRunner

from framescribe.cli.main import app
from framescribe.synthetic.captions import parse
from tests.reference import ROOT


def test_the_bundled_model_describes_an_example_clip():
    result = CliRunner().invoke(app, ["caption", str(ROOT / "examples" / "kangaroo.mp4"), "--device", "cpu"])
    assert result.exit_code == 0
    assert "synthetic world" in result.stderr
    assert "THUDM/cogvlm2-llama3-caption" in result.stderr
    said = parse(result.stdout.split("\t")[1])
    assert (said.subject, said.motions, said.background) == ("kangaroo", ("moves up",), "snow field")
