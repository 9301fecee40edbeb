"""In JupyterLab without a mouse: menus and questions too, whose arrow keys JupyterLab would take; and a tooltip on every control."""

from browser.pages import ERRORS, changed, key
from browser.test_jupyterlab import EXPLORER, explorer, lab  # noqa: F401  (fixtures)

TITLED = """control => {
    const shown = [control, ...control.querySelectorAll('*')].map(e => e.title).filter(title => title && title != 'null');
    return shown.some(title => title.length > 9);
}"""


def test_a_menu_a_question_and_a_button_by_keyboard(page, explorer):  # noqa: F811
    app = page.locator(EXPLORER)
    menu = app.get_by_label("Activation", exact=True)
    before = key(explorer)
    menu.focus()
    for stroke in ("Space", "ArrowUp", "Enter"):  # opens the menu, goes up one, takes it
        page.keyboard.press(stroke)
        page.wait_for_timeout(300)
    assert changed(page, explorer, before)
    assert menu.evaluate("menu => menu.options[menu.selectedIndex].text") == "Sigmoid"
    assert menu.evaluate("menu => document.activeElement === menu"), "JupyterLab took the focus"
    page.wait_for_function("() => document.querySelector('.initviz-verdict b').innerText == 'VANISHING'")

    code = app.locator("button", has_text="Show code")
    code.focus()
    page.keyboard.press("Space")
    app.locator("pre.initviz-code").wait_for()
    assert "sigmoid" in app.locator("pre.initviz-code").inner_text()

    quiz = page.locator(".jp-OutputArea-output", has=page.locator(".widget-toggle-buttons")).first
    answers = quiz.locator(".widget-toggle-buttons button")
    answers.first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    quiz.locator("[role=status]").wait_for()
    assert answers.nth(1).evaluate("button => button.classList.contains('mod-active')")
    assert page.locator(ERRORS).count() == 0


def test_every_control_shows_a_tooltip(page, explorer):  # noqa: F811
    app = page.locator(EXPLORER)
    controls = app.locator(".widget-dropdown, .widget-slider, .widget-text, .jupyter-button")
    assert controls.count() == 19
    assert all(controls.nth(i).evaluate(TITLED) for i in range(19))
