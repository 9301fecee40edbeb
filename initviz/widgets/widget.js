// The picture in its page: a canvas that follows the data, its width, the screen's sharpness and the page's colours; pointer and keys.

// Whether the page is dark. A dark preference of the system says nothing about a page that is white whatever it is.
function darkPage(element) {
    const {jpThemeLight, vscodeThemeKind} = document.body.dataset;
    if (jpThemeLight) return jpThemeLight === 'false';
    if (vscodeThemeKind) return vscodeThemeKind.includes('dark') || vscodeThemeKind === 'vscode-high-contrast';
    const scheme = getComputedStyle(element).colorScheme;
    if (!scheme.includes('dark')) return false;
    return !scheme.includes('light') || matchMedia('(prefers-color-scheme: dark)').matches;
}

// Show the figure in `model.get('value')` in an element, and follow it. Returns what takes it away again.
function mount(element, model) {
    const canvas = document.createElement('canvas'), context = canvas.getContext('2d'), told = document.createElement('div');
    canvas.className = 'initviz-picture';
    canvas.tabIndex = 0;
    canvas.setAttribute('role', 'application');  // so that a screen reader leaves the arrow keys to it
    canvas.setAttribute('aria-roledescription', 'picture');
    told.className = 'initviz-told';
    told.setAttribute('aria-live', 'off');
    element.classList.add('initviz-mount');
    element.append(canvas, told);
    let figure = null, plan = null, cursor = null, byKeys = false, asked = 0, paints = 0, figures = 0, fresh = false;

    function read() {
        const value = model.get('value');
        if (!value || !value.byteLength) return;
        figure = unpack(value);
        canvas.setAttribute('aria-label', `${figure.label}. Arrow keys move a cursor through its values.`);
        fresh = true;
        later();
    }

    function later() {
        if (!asked) asked = requestAnimationFrame(draw);
    }

    function draw() {
        asked = 0;
        const width = element.clientWidth;
        if (!figure || !width) return;
        const start = performance.now(), dark = darkPage(element);
        const scaled = canvas.getBoundingClientRect().width / width;  // by a slide's transform; an overview of slides is left alone
        const ratio = (devicePixelRatio || 1) * (scaled > 0.5 ? scaled : 1);
        plan = layout(context, figure, width);
        const [across, down] = [Math.round(width * ratio), Math.round(plan.height * ratio)];
        if (canvas.width !== across || canvas.height !== down) {
            canvas.width = across;
            canvas.height = down;
            canvas.style.height = `${plan.height}px`;
        }
        if (cursor && byKeys) cursor = cursorMoved(plan, cursor, 0, 0);
        if (cursor && !plan.panels[cursor.number]) cursor = null;
        paint(context, figure, plan, {ratio, dark, cursor});
        told.textContent = cursor ? lines(readings(plan, cursor)).join('; ') : '';
        canvas.dataset.paints = ++paints;
        if (fresh) canvas.dataset.figures = ++figures;
        fresh = false;
        canvas.dataset.dark = dark;
        canvas.dataset.milliseconds = (performance.now() - start).toFixed(2);
    }

    function point(event) {
        if (!plan) return;
        const box = canvas.getBoundingClientRect(), grown = plan.width / box.width;  // a slide may be scaled
        cursor = cursorAt(plan, (event.clientX - box.left) * grown, (event.clientY - box.top) * grown);
        byKeys = false;
        told.setAttribute('aria-live', 'off');
        later();
    }

    function leave() {
        if (cursor) { cursor = null; later(); }
    }

    const MOVES = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1], Home: [-1e9, 0], End: [1e9, 0],
                   PageUp: [-10, 0], PageDown: [10, 0]};

    function press(event) {
        if (event.key === 'Escape') leave();
        if (!plan || !MOVES[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        event.stopPropagation();  // JupyterLab and slides have arrow keys of their own
        told.setAttribute('aria-live', 'polite');
        cursor = cursorMoved(plan, cursor, ...MOVES[event.key]);
        byKeys = true;
        later();
    }

    let sharpness = null;
    function follow() {  // a ResizeObserver does not see the pixels change
        sharpness?.removeEventListener('change', follow);
        sharpness = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
        sharpness.addEventListener('change', follow);
        later();
    }

    const preference = matchMedia('(prefers-color-scheme: dark)');
    const size = new ResizeObserver(later), theme = new MutationObserver(later);
    size.observe(element);
    for (const part of [document.body, document.documentElement]) {
        theme.observe(part, {attributes: true, attributeFilter: ['class', 'style', 'data-jp-theme-light', 'data-vscode-theme-kind', 'data-theme']});
    }
    preference.addEventListener('change', later);
    addEventListener('resize', later);
    for (const name of ['pointermove', 'pointerdown']) canvas.addEventListener(name, point);
    canvas.addEventListener('pointerleave', leave);
    canvas.addEventListener('blur', leave);
    canvas.addEventListener('keydown', press);
    model.on('change:value', read);
    follow();
    read();
    return () => {
        model.off('change:value', read);
        size.disconnect();
        theme.disconnect();
        preference.removeEventListener('change', later);
        removeEventListener('resize', later);
        sharpness.removeEventListener('change', follow);
        cancelAnimationFrame(asked);
        element.replaceChildren();
    };
}
