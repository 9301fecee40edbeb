"""initviz handout: a student gets no solution, the teacher gets all, and a learning platform reads the questions."""

import html
import io
import json
import math
import re
import zipfile
from xml.etree import ElementTree

import nbformat
import pytest

import initviz as iv
from initviz.__main__ import main
from initviz.course import judge, question
from initviz.tools import _handout as handouts

NUMBERS = sorted(path.name[:2] for path in handouts.CHECKOUT.glob("[0-9][0-9]_*.ipynb"))


def parsed(gift: str) -> dict[str, tuple[str, list[tuple[str, str, str]]]]:
    """GIFT as Moodle reads it: key -> (words, [(mark, answer, feedback), ...])."""

    def plain(words: str) -> str:
        return html.unescape(re.sub(r"\\([\\~=#{}:])", r"\1", words).strip())

    found = {}
    for item in gift.split("\n\n"):
        part = re.fullmatch(r"::((?:\\.|[^:\\])*)::\[html\]((?:\\.|[^{\\])*)\{((?:\\.|[^}\\])*)\}\s*", item, re.S)
        assert part, item
        answers = re.findall(r"(=|~(?:%-?[\d.]+%)?)((?:\\.|[^~=#\\])*)#((?:\\.|[^~=#\\])*)", part[3])
        found[plain(part[1])] = (
            plain(part[2]),
            [(mark, plain(words), plain(feedback)) for mark, words, feedback in answers],
        )
    return found


@pytest.mark.parametrize("number", NUMBERS)
def test_a_student_gets_no_solution_and_the_teacher_all(number):
    path = handouts.find(number)
    files = handouts.handout(path)
    assert set(files) == {
        path.name,
        *(f"{path.stem}.{end}" for end in ("questions.md", "gift", "qti.zip", "solutions.md")),
    }
    stored, given = nbformat.read(path, as_version=4), nbformat.reads(files[path.name], as_version=4)
    nbformat.validate(given)
    solutions = [
        one
        for cell in stored.cells
        if cell.cell_type == "markdown"
        for one in cell.source.split("<summary>Solution</summary>")[1:]
    ]
    assert len(given.cells) == len(stored.cells) and "Solution</summary>" not in files[path.name]
    assert files[path.name].count("Hint</summary>") == sum(cell.source.count("Hint</summary>") for cell in stored.cells)
    assert all(cell.source.count("<details>") == cell.source.count("</details>") for cell in given.cells)
    assert not any(cell.outputs for cell in given.cells if cell.cell_type == "code")
    for solution in solutions:
        words = solution.partition("</details>")[0].strip()
        assert words in files[f"{path.stem}.solutions.md"]
    for one in map(question, re.findall(r'iv\.quiz\("([\w.]+)"\)', "".join(cell.source for cell in stored.cells))):
        for choice in one.choices:
            assert (
                choice.words in files[f"{path.stem}.questions.md"]
                and choice.feedback not in files[f"{path.stem}.questions.md"]
            )
            assert choice.feedback in files[f"{path.stem}.solutions.md"]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_learning_platform_reads_every_question(number):
    path = handouts.find(number)
    keys = re.findall(
        r'iv\.quiz\(\\"([\w.]+)\\"\)', json.dumps([c.source for c in nbformat.read(path, as_version=4).cells])
    )
    found = parsed(handouts.handout(path)[f"{path.stem}.gift"])
    assert list(found) == list(dict.fromkeys(keys))
    for key, (words, answers) in found.items():
        one = question(key)
        assert words == re.sub(r"\$([^$]+)\$", r"\\(\1\\)", one.words) and len(answers) == len(one.choices)
        right = [mark for (mark, _, _), choice in zip(answers, one.choices) if choice.right]
        assert right == ["="] or right == [f"~%{100 / len(right):.5g}%"] * len(right)
        assert all(
            mark.startswith(("~%-", "~")) and mark != "="
            for (mark, _, _), c in zip(answers, one.choices)
            if not c.right
        )


@pytest.mark.parametrize("number", NUMBERS)
def test_a_qti_package_holds_the_same_questions(number):
    """As the schema orders its elements, and as Canvas reads them: a name of XML, ids that are found, the right answers score."""
    path = handouts.find(number)
    packed = handouts.handout(path)[f"{path.stem}.qti.zip"]
    assert packed == handouts.handout(path)[f"{path.stem}.qti.zip"], "the same each time"
    archive = zipfile.ZipFile(io.BytesIO(packed))
    manifest = ElementTree.fromstring(archive.read("imsmanifest.xml"))
    cp, qti = ({"q": f"http://www.imsglobal.org/xsd/{name}"} for name in ("imscp_v1p1", "ims_qtiasiv1p2"))
    resource = manifest.find("q:resources/q:resource", cp)
    assert re.fullmatch(r"[A-Za-z_][\w.-]*", resource.get("identifier")) and resource.get("type") == "imsqti_xmlv1p2"
    (file,) = [one.get("href") for one in resource.findall("q:file", cp)]
    assert sorted(archive.namelist()) == sorted(["imsmanifest.xml", file])
    quiz = ElementTree.fromstring(archive.read(file))

    def words(place: ElementTree.Element) -> str:
        return html.unescape(place.find(".//q:mattext", qti).text)

    items = quiz.findall("q:assessment/q:section/q:item", qti)
    asked = re.findall(
        r'iv\.quiz\(\\"([\w.]+)\\"\)', json.dumps([c.source for c in nbformat.read(path, as_version=4).cells])
    )
    assert [item.get("title") for item in items] == list(dict.fromkeys(asked))
    for item in items:
        one = question(item.get("title"))
        parts = [part.tag.rpartition("}")[2] for part in item]
        assert parts == ["itemmetadata", "presentation", "resprocessing"] + ["itemfeedback"] * len(one.choices)
        assert words(item.find("q:presentation", qti)) == re.sub(r"\$([^$]+)\$", r"\\(\1\\)", one.words)
        answers = {label.get("ident"): words(label) for label in item.findall(".//q:response_label", qti)}
        assert list(answers.values()) == [re.sub(r"\$([^$]+)\$", r"\\(\1\\)", choice.words) for choice in one.choices]
        said = {fed.get("ident"): words(fed) for fed in item.findall("q:itemfeedback", qti)}
        *fed, score = item.findall("q:resprocessing/q:respcondition", qti)
        for condition, choice in zip(fed, one.choices, strict=True):
            assert answers[condition.find(".//q:varequal", qti).text] == re.sub(
                r"\$([^$]+)\$", r"\\(\1\\)", choice.words
            )
            told = said[condition.find("q:displayfeedback", qti).get("linkrefid")]
            assert told == re.sub(r"\$([^$]+)\$", r"\\(\1\\)", choice.feedback)
        right = [str(place) for place, choice in enumerate(one.choices, 1) if choice.right]
        scored = [equal.text for equal in score.findall("q:conditionvar/q:varequal", qti)]
        scored += [equal.text for equal in score.findall("q:conditionvar/q:and/q:varequal", qti)]
        assert scored == right and score.find("q:setvar", qti).text == "100"
        barred = [equal.text for equal in score.findall("q:conditionvar/q:and/q:not/q:varequal", qti)]
        several = len(right) > 1
        assert barred == [ident for ident in answers if ident not in right] * several
        cardinality = item.find("q:presentation/q:response_lid", qti).get("rcardinality")
        assert cardinality == ("Multiple" if several else "Single")


def test_nbgraders_cells_grade():
    path = handouts.find("05")
    notebook = nbformat.reads(handouts.handout(path, nbgrader=True)[path.name], as_version=4)
    nbformat.validate(notebook)
    judged = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    answers = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution")]
    assert len(judged) == len(answers) == 3 and len({cell.metadata.nbgrader.grade_id for cell in judged + answers}) == 6
    names = {"math": math, "iv": iv}
    exec(answers[0].source, names)
    exec(judged[0].source, names)  # the solution passes
    stub = re.sub("### BEGIN SOLUTION.*### END SOLUTION\n", "", answers[0].source, flags=re.S)
    exec(stub, names)
    with pytest.raises(AssertionError, match="not answered yet"):
        exec(judged[0].source, names)
    with pytest.raises(
        AssertionError, match=re.escape(judge("05.uniform_bound", lambda n_in, n_out: 1.0).message[:20])
    ):
        exec(judged[0].source, names | {"uniform_bound": lambda n_in, n_out: 1.0})


def test_the_command_writes_them_and_says_what_it_cannot_take(tmp_path, capsys):
    assert main(["handout", "05", "--out", str(tmp_path / "h")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5 == len(list((tmp_path / "h").iterdir()))
    assert main(["handout", "77", "--out", str(tmp_path)]) == 2
    assert "notebook: got '77'; it takes the path of a notebook, or one of 00, " in capsys.readouterr().err
    copy = tmp_path / "05_mine.ipynb"
    copy.write_text(handouts.find("05").read_text(encoding="utf-8"), encoding="utf-8")
    assert (
        main(["handout", str(copy), "--out", str(tmp_path)]) == 2 and "out: got the folder" in capsys.readouterr().err
    )
