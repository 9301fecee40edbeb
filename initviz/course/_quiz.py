"""A question with choices, as a widget."""

from __future__ import annotations

import html
import string
from typing import Any

import ipywidgets as widgets

from initviz.course._kit import Question

RIGHT, WRONG = "#009E73", "#C04A00"


class Quiz(widgets.VBox):
    """A question, its choices, and the feedback for the one that is chosen. Works by keyboard alone.

    A page without a kernel shows the question and its choices, each with its feedback folded behind it.

    Attributes:
        choices: the buttons A, B, ...; their `value` is the index of the chosen answer, or None.
        feedback: what is said to it.
    """

    def __init__(self, question: Question) -> None:
        self.question = question
        letters = string.ascii_uppercase[: len(question.choices)]
        items = "".join(f"<li>{html.escape(choice.words)}</li>" for choice in question.choices)
        asked = widgets.HTMLMath(
            f'<div style="font-size:17px; line-height:1.45"><b>Predict.</b> {question.words}'
            f"<ol type='A' style='margin:4px 0'>{items}</ol></div>"
        )
        self.choices = widgets.ToggleButtons(  # not radio buttons: JupyterLab takes the arrow keys that they need
            options=[(letter, number) for number, letter in enumerate(letters)],
            value=None,
            tooltips=[f"Answer {letter}; you may choose again" for letter in letters],
            tooltip="Choose an answer; you may choose again",
            style={"button_width": "64px", "font_weight": "bold"},
        )
        self.feedback = widgets.HTMLMath()
        self.choices.observe(self._answer, names="value")
        super().__init__([asked, self.choices, self.feedback], layout={"max_width": "900px"})

    def _answer(self, change: dict) -> None:
        if change["new"] is None:
            return
        choice = self.question.choices[change["new"]]
        word, color = ("✔ Right.", RIGHT) if choice.right else ("✘ Not so.", WRONG)
        self.feedback.value = (
            '<div role="status" aria-live="polite" style="font-size:16px; line-height:1.45; padding:4px 8px; '
            f'border-left:8px solid {color}"><b>{word}</b> {choice.feedback}</div>'
        )

    def __repr__(self) -> str:
        return "Predict: " + " / ".join([self.question.words, *(choice.words for choice in self.question.choices)])

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(**kwargs) or {}
        items = "".join(
            f"<li><details><summary>{html.escape(choice.words)}</summary>{'✔' if choice.right else '✘'} {choice.feedback}"
            "</details></li>"
            for choice in self.question.choices
        )
        bundle["text/plain"] = repr(self)
        bundle["text/html"] = f"<b>Predict.</b> {self.question.words}<ol type='A'>{items}</ol>"
        return bundle
