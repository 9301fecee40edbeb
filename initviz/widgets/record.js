// Recorded measurements, played: controls that step through the states of a grid, each unpacked when it is asked for.

async function unzip(text) {  // base64 of zlib's bytes
    const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    return new DataView(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'))).arrayBuffer());
}

function blobs(view) {  // what stands one behind the other, each with its length before it
    const found = [];
    for (let at = 0; at < view.byteLength;) {
        const size = view.getUint32(at, true);
        found.push(new Uint8Array(view.buffer, at + 4, size));
        at += 4 + size;
    }
    return found;
}

function play(root) {
    const {settings, chunk} = JSON.parse(root.querySelector('script[type="application/json"]').textContent);
    const chunks = [...root.querySelectorAll('.initviz-chunk')], said = root.querySelector('.initviz-said');
    const models = [...root.querySelectorAll('.initviz-canvas')].map(element => {
        const model = {value: null, read: () => {}, get: () => model.value, on: (_, read) => { model.read = read; }, off: () => {}};
        mount(element, model);
        return model;
    });
    const unpacked = new Map();  // the newest few chunks
    let wanted = 0;

    function load(number) {
        const known = unpacked.get(number) ?? unzip(chunks[number].textContent).then(blobs);
        unpacked.delete(number);
        unpacked.set(number, known);
        if (unpacked.size > 24) unpacked.delete(unpacked.keys().next().value);
        return known;
    }

    async function show() {
        const state = settings.reduce((sum, {values, at}) => sum * values.length + at, 0), asked = ++wanted;
        const parts = await load(Math.floor(state / chunk)), each = 1 + models.length, first = (state % chunk) * each;
        if (asked !== wanted) return;  // the controls have moved on
        said.innerHTML = new TextDecoder().decode(parts[first]);
        models.forEach((model, i) => { model.value = parts[first + 1 + i]; model.read(); });
        root.dataset.state = state;
    }

    const form = root.querySelector('form');
    form.addEventListener('submit', event => event.preventDefault());
    form.addEventListener('keydown', event => event.stopPropagation());  // slides have arrow keys of their own
    for (const setting of settings) {
        const label = document.createElement('label'), words = document.createElement('output');
        label.append(setting.label);
        let control;
        if (setting.slider) {
            control = Object.assign(document.createElement('input'), {type: 'range', min: 0, max: setting.values.length - 1, step: 1});
            label.append(control, words);
        } else {
            control = document.createElement('select');
            control.append(...setting.values.map((value, i) => new Option(value, i)));
            label.append(control);
        }
        control.name = setting.name;
        control.value = setting.at;
        const follow = () => {
            setting.at = +control.value;
            words.value = setting.values[setting.at];
            if (setting.slider) control.setAttribute('aria-valuetext', setting.values[setting.at]);
        };
        control.addEventListener('input', () => { follow(); show(); });
        follow();
        form.append(label);
    }
    show();
}

for (const root of document.querySelectorAll('.initviz-recording:not([data-played])')) {
    root.dataset.played = 'yes';
    play(root);
}
