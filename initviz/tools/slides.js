// A deck in its page: slides are filled up to their height and go on with their heading; pictures grow; a key shows the code.

const FOOT = 22;  // the strip at the foot of a slide, where its number is
const LEAST = 16;  // the smallest letters that words may get, in the slide's own pixels: 24 on a screen of 1080

function letters(block, size) {
    block.style.setProperty('--letters', `${Math.max(LEAST, Math.min(size, BODY))}px`);
}

function blocksOf(section) {  // what a slide is made of, each in a box of its own
    const found = [];
    for (const cell of section.querySelectorAll('.jp-Cell')) {
        if (cell.closest('aside')) continue;
        const words = cell.querySelector('.jp-MarkdownOutput'), fragment = cell.closest('.fragment');
        const parts = words ? [...words.children] : [...cell.querySelectorAll('.jp-InputArea, .jp-OutputArea-child')];
        for (const part of parts.filter(part => !part.matches('script.initviz-code'))) {
            const block = document.createElement('div');
            block.className = `initviz-block ${words ? words.className : ''} ${fragment ? 'fragment' : ''}`;
            block.append(part);
            found.push(block);
        }
    }
    return found;
}

function openLongest(block) {  // of the answers to a question: there has to be room for one, whichever it is
    const answers = [...block.querySelectorAll('li > details')].sort((a, b) => b.textContent.length - a.textContent.length);
    answers.forEach((answer, number) => { answer.name = 'answer'; answer.open = number === 0; });
}

function fitWidth(block) {
    const room = SIZE[0] - 80;
    for (const pre of block.querySelectorAll('pre')) {
        const printed = pre.closest('.jp-OutputArea-output'), lines = pre.textContent.split('\n');
        const stiff = printed ? lines.filter(line => /\S {2,}\S/.test(line)) : lines;  // rows of figures; a printed sentence is broken
        if (stiff.length) letters(block, room / (0.605 * Math.max(...stiff.map(line => line.length)) + 1));
    }
    for (const table of block.querySelectorAll('table')) {
        for (let size = BODY; table.offsetWidth > SIZE[0] - 40 && size > LEAST; size--) letters(block, size - 1);
    }
    for (const formula of block.querySelectorAll('mjx-container[display="true"]')) {
        const wide = formula.firstElementChild?.getBoundingClientRect().width ?? 0;
        if (wide > room) formula.style.fontSize = `${100 * room / wide}%`;
    }
}

// The block keeps what its slide has room for; returns the rest, or null if it can't be parted.
function part(block, full) {
    const list = block.querySelector(':scope > ul, :scope > ol, tbody');
    if (list && list.children.length > 1) {
        const rest = block.cloneNode(true), more = rest.querySelector(list.tagName), total = list.children.length;
        while (full() && list.children.length > 1) list.lastElementChild.remove();
        for (let i = 0; i < list.children.length; i++) more.firstElementChild.remove();
        if (list.tagName === 'OL') more.start = list.start + list.children.length;
        return list.children.length < total ? rest : null;
    }
    const pre = block.querySelector('pre');
    const lines = pre ? pre.textContent.split('\n') : [];
    if (lines.length < 4 || pre.firstElementChild) return null;
    const rest = block.cloneNode(true);
    let kept = lines.length;
    while (full() && kept > 2) pre.textContent = lines.slice(0, --kept).join('\n');
    rest.querySelector('pre').textContent = lines.slice(kept).join('\n');
    return rest;
}

// The last item of a list, taken from it as a block of its own; none, where there is no list of several.
function lastItem(block) {
    const list = block.querySelector(':scope > ul, :scope > ol');
    if (!list || list.children.length < 2) return [];
    const rest = block.cloneNode(true), more = rest.querySelector(list.tagName);
    more.replaceChildren(more.lastElementChild);
    list.lastElementChild.remove();
    if (list.tagName === 'OL') more.start = list.start + list.children.length;
    return [rest];
}

function shrink(block, full) {
    for (let size = BODY - 1; full() && size >= LEAST; size--) letters(block, size);
    for (const picture of full() ? block.querySelectorAll('img') : []) picture.style.maxHeight = '380px';
}

function fill(section) {
    const blocks = blocksOf(section), heading = blocks[0]?.querySelector('h1, h2, h3') ? blocks.shift() : null;
    const kept = [...section.querySelectorAll('aside.notes, script.initviz-code')];
    section.replaceChildren(...(heading ? [heading] : []), ...kept);
    let page = section, filled = 0;
    const full = () => page.offsetHeight > SIZE[1] - FOOT;
    const isApp = block => block.querySelector('.initviz-recording');
    while (blocks.length) {
        const block = blocks.shift(), last = page.lastElementChild;
        const crowded = filled && (isApp(block) || isApp(last));
        page.append(block);
        fitWidth(block);
        openLongest(block);
        if (!crowded && !full()) {
            filled++;
        } else if (filled) {
            block.remove();
            blocks.unshift(block);
            const figures = block.querySelector('.jp-OutputArea-output pre, table'), words = last.querySelector(':scope > p');
            if (filled > 1 && words && (figures || /:\s*$/.test(last.textContent))) blocks.unshift(last);  // what introduces it goes along
            else if (figures && !isApp(last)) blocks.unshift(...lastItem(last));  // a slide is more than printed lines
            const next = document.createElement('section');
            if (heading) next.append(heading.cloneNode(true));
            next.append(...kept.map(one => one.cloneNode(true)));
            page.after(next);
            [page, filled] = [next, 0];
        } else {
            const rest = part(block, full);
            if (rest) blocks.unshift(rest);
            if (full()) shrink(block, full);
            filled++;
        }
    }
}

function grow(slide) {  // its pictures, into the room that it has left
    const pictures = [...slide.querySelectorAll('.jp-RenderedImage img')];
    pictures.forEach(picture => { picture.style = ''; });
    const room = SIZE[1] - slide.scrollHeight - FOOT;
    for (const picture of pictures) {
        const height = picture.offsetHeight + room / pictures.length;
        const most = picture.closest('.jp-OutputArea-output').clientWidth;
        const width = Math.min(most, height * picture.naturalWidth / picture.naturalHeight);
        picture.style = `max-width: none; max-height: none; width: ${width}px`;
    }
    const app = slide.querySelector('.initviz-recording');
    return app ? fit(app, slide) : null;
}

async function fit(app, slide) {  // its pictures as wide as the slide, or as its height has room for
    const pictures = [...app.querySelectorAll('.initviz-canvas')];
    let share = 1;
    for (let turn = 0; turn < 4; turn++) {
        pictures.forEach(picture => { picture.style.width = `${100 * share}%`; });
        await new Promise(done => setTimeout(done, 100));  // until they are painted
        const over = slide.scrollHeight - SIZE[1] + FOOT;
        const high = pictures.reduce((sum, picture) => sum + picture.offsetHeight, 0);
        if (over <= 4 || !high) break;
        share = Math.max(0.5, share * (1 - over / high));
    }
    Reveal.layout();
}

function showCode() {  // of this slide, over it; or take it away
    const shown = document.querySelector('.initviz-listing');
    if (shown) return shown.remove();
    const code = [...Reveal.getCurrentSlide().querySelectorAll('script.initviz-code')].map(one => one.textContent.trim());
    const listing = Object.assign(document.createElement('pre'), {className: 'initviz-listing', tabIndex: 0});
    listing.textContent = code.join('\n\n') || 'No code on this slide.';
    document.querySelector('.reveal').append(listing);
    listing.focus();
}

async function start() {
    await MathJax.startup.promise;
    const slides = [...document.querySelectorAll('.slides > section > section')];
    slides.forEach(fill);
    document.querySelectorAll('.slides details').forEach(one => { one.open = false; });
    document.body.classList.remove('initviz-measuring');
    await Reveal.initialize({
        width: SIZE[0], height: SIZE[1], margin: 0, hash: true, slideNumber: 'c/t', transition: 'none', center: false, plugins: [RevealNotes],
        pdfMaxPagesPerSlide: 1, pdfSeparateFragments: false, keyboard: {67: showCode},
    });
    Reveal.on('slidechanged', event => {
        document.querySelector('.initviz-listing')?.remove();
        grow(event.currentSlide);
        Reveal.layout();
    });
    const all = Reveal.isPrintView?.() ?? /print-pdf/.test(location.search);
    for (const slide of all ? Reveal.getSlides() : [Reveal.getCurrentSlide()]) await grow(slide);
    Reveal.layout();
    document.body.dataset.ready = 'yes';
}
start();
