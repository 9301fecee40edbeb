"""A notebook's questions as a QTI 1.2 package, which Canvas imports.

The elements are those of IMS Question & Test Interoperability 1.2.1 (ims_qtiasiv1p2p1.dtd), laid out as Canvas itself exports a quiz:
one condition for each answer's feedback, then one for the right answer. A manifest of IMS Content Packaging names the file.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, tostring

from initviz.course import Question
from initviz.tools._stored import for_a_platform

QTI = "http://www.imsglobal.org/xsd/ims_qtiasiv1p2"
PACKAGING = "http://www.imsglobal.org/xsd/imscp_v1p1"


def package(name: str, title: str, questions: Mapping[str, Question]) -> bytes:
    """The zip file: a quiz with a point for each question, and the feedback for each answer.

    Args:
        name: of the quiz in the package; an XML name, so without blanks and with a letter first.
        questions: key -> question.
    """
    files = {"imsmanifest.xml": _manifest(name), f"{name}/{name}.xml": _assessment(name, title, questions)}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, root in files.items():
            text = tostring(root, encoding="utf-8", xml_declaration=True)
            archive.writestr(
                zipfile.ZipInfo(path), text, zipfile.ZIP_DEFLATED
            )  # dated 1980, so that it is the same each time
    return packed.getvalue()


def _manifest(name: str) -> Element:
    root = Element("manifest", {"xmlns": PACKAGING, "identifier": f"{name}-manifest"})
    about = SubElement(root, "metadata")
    SubElement(about, "schema").text = "IMS Content"
    SubElement(about, "schemaversion").text = "1.1.3"
    SubElement(root, "organizations")
    resource = SubElement(SubElement(root, "resources"), "resource", {"identifier": name, "type": "imsqti_xmlv1p2"})
    SubElement(resource, "file", {"href": f"{name}/{name}.xml"})
    return root


def _assessment(name: str, title: str, questions: Mapping[str, Question]) -> Element:
    root = Element("questestinterop", {"xmlns": QTI})
    quiz = SubElement(root, "assessment", {"ident": name, "title": title})
    section = SubElement(quiz, "section", {"ident": "root_section"})
    for key, one in questions.items():
        section.append(_item(key, one))
    return root


def _item(key: str, one: Question) -> Element:
    item = Element("item", {"ident": f"initviz-{key.replace('.', '-')}", "title": key})
    answers = {f"{number}": choice for number, choice in enumerate(one.choices, 1)}
    right = [ident for ident, choice in answers.items() if choice.right]
    several = len(right) > 1

    about = SubElement(SubElement(item, "itemmetadata"), "qtimetadata")
    kind = "multiple_answers_question" if several else "multiple_choice_question"
    for label, entry in {"question_type": kind, "points_possible": "1"}.items():
        field = SubElement(about, "qtimetadatafield")
        SubElement(field, "fieldlabel").text = label
        SubElement(field, "fieldentry").text = entry

    shown = SubElement(item, "presentation")
    _words(shown, one.words)
    cardinality = "Multiple" if several else "Single"
    asked = SubElement(shown, "response_lid", {"ident": "response1", "rcardinality": cardinality})
    rendered = SubElement(asked, "render_choice")
    for ident, choice in answers.items():
        _words(SubElement(rendered, "response_label", {"ident": ident}), choice.words)

    judged = SubElement(item, "resprocessing")
    score = {"varname": "SCORE", "vartype": "Decimal", "minvalue": "0", "maxvalue": "100"}
    SubElement(SubElement(judged, "outcomes"), "decvar", score)
    for ident in answers:
        condition = SubElement(judged, "respcondition", {"continue": "Yes"})
        _chosen(SubElement(condition, "conditionvar"), ident)
        SubElement(condition, "displayfeedback", {"feedbacktype": "Response", "linkrefid": f"{ident}_fb"})
    condition = SubElement(judged, "respcondition", {"continue": "No"})
    holds = SubElement(condition, "conditionvar")
    if several:
        every = SubElement(holds, "and")
        for ident in answers:
            _chosen(every if ident in right else SubElement(every, "not"), ident)
    else:
        _chosen(holds, right[0])
    SubElement(condition, "setvar", {"action": "Set", "varname": "SCORE"}).text = "100"

    for ident, choice in answers.items():
        feedback = SubElement(item, "itemfeedback", {"ident": f"{ident}_fb"})
        _words(SubElement(feedback, "flow_mat"), choice.feedback)
    return item


def _words(place: Element, words: str) -> None:
    SubElement(SubElement(place, "material"), "mattext", {"texttype": "text/html"}).text = for_a_platform(words)


def _chosen(place: Element, ident: str) -> None:
    SubElement(place, "varequal", {"respident": "response1"}).text = ident
