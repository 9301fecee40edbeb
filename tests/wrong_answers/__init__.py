"""Typical wrong answers to the exercises, a module a notebook (`n05.py`): WRONG = {exercise: [(answer, words of the reason), ...]}."""
