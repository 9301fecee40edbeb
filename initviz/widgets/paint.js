// A picture's data, and a width, to a canvas. No page is touched here: `widget.js` does that.
//
// A figure is what initviz.plots._figure describes: blocks of panels with marks, in pixels of a picture 1280 wide. LOOK, written in
// front of this file, has the defaults of its fields and the colours of its roles and ramps.

const LETTERS = '"DejaVu Sans", "Segoe UI", system-ui, Roboto, "Helvetica Neue", Arial, sans-serif';
const SMALL = 18, NORMAL = 19.5, TITLE = 22, KEY_ROW = 24;
const WIDE = 0.55;      // from this share of its own width on, a figure is drawn with its blocks where they are
const COLUMN = 410;     // below it they stand in columns, each as wide as this before it is scaled,
                        // or wider, so that no panel is narrower than its `least`
const ROWS = 160;       // cells of a density column

// Reading what the kernel sends

function unpack(bytes) {  // a DataView or typed array -> the figure; see initviz.plots.packed
    const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);  // it may begin anywhere
    const size = new DataView(buffer).getUint32(0, true), first = Math.ceil((4 + size) / 8) * 8;
    const types = {1: Uint8Array, 4: Float32Array, 8: Float64Array}, seen = [];
    const visit = thing => {
        if (Array.isArray(thing)) return thing.map(visit);
        if (thing === null || typeof thing !== 'object') return thing;
        if (thing.at) {
            const [width, start, count, row = count] = thing.at;
            return Object.assign(new types[width](buffer, first + start, count), {row});
        }
        if ('as' in thing) return seen[thing.as];
        const kind = thing.kind || (thing.blocks ? 'Figure' : thing.panels ? 'Block' : thing.marks ? 'Panel' : 'Axis');
        const found = {...LOOK.defaults[kind]};
        seen.push(found);
        for (const name in thing) found[name] = visit(thing[name]);
        return found;
    };
    return visit(JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size))));
}

// Axes

function bend(axis, value) {
    if (axis.scale === 'log') return value > 0 ? Math.log10(value) : NaN;
    return axis.scale === 'symlog' ? Math.sign(value) * Math.log1p(Math.abs(value) / axis.threshold) : value;
}

function ends(axis) {
    return axis.scale === 'log' ? [axis.low, axis.high] : [bend(axis, axis.low), bend(axis, axis.high)];
}

function placer(axis) {  // value -> share of the axis from its low end
    const [low, high] = ends(axis);
    return value => (bend(axis, value) - low) / (high - low);
}

function valueAt(axis, share) {
    const [low, high] = ends(axis), bent = low + share * (high - low);
    if (axis.scale === 'log') return 10 ** bent;
    return axis.scale === 'symlog' ? Math.sign(bent) * axis.threshold * Math.expm1(Math.abs(bent)) : bent;
}

function tickPlace(axis, tick) {
    return axis.scale === 'log' ? (tick - axis.low) / (axis.high - axis.low) : placer(axis)(tick);
}

// Where everything lies

function font(context, size, bold) {
    context.font = `${bold ? 'bold ' : ''}${size}px ${LETTERS}`;
}

function keyRows(context, panel, room) {  // [{words, role, x, row}], rows that are too long broken
    font(context, SMALL);
    const found = [];
    let row = 0;
    for (const key of panel.key) {
        let x = panel.key_left;
        for (const [words, role] of key) {
            if (x > panel.key_left && x + context.measureText(words).width > room) { x = panel.key_left; row += 1; }
            wrap(context, words, room - panel.key_left).forEach((line, number) => {
                if (number) { x = panel.key_left; row += 1; }
                found.push({words: line, role, x, row});
                x += context.measureText(line).width + 22;
            });
        }
        row += 1;
    }
    return found;
}

function uprightRoom(context, panel, across) {  // for words above a panel that stand upright because they are too wide
    font(context, SMALL);
    const wide = panel.x.labels.map(label => context.measureText(label).width), gap = across / wide.length - 6;
    return wide.some((one, i) => i && (one + wide[i - 1]) / 2 > gap) ? Math.max(...wide) - 14 : 0;
}

function wrap(context, words, room) {
    const lines = [''];
    for (const word of words.split(/ (?!%)/)) {  // a number stays with its sign
        const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
        if (lines.at(-1) && context.measureText(longer).width > room) lines.push(word);
        else lines[lines.length - 1] = longer;
    }
    return lines;
}

function layout(context, figure, width) {
    const wide = width >= WIDE * figure.width;
    const columns = wide ? 1 : Math.max(1, Math.min(figure.blocks.length, Math.floor(width / 340)));
    const least = figure.blocks.flatMap(block => block.panels).map(panel => Math.max(panel.left, 0) + panel.right + (panel.left < 0 ? 0 : panel.least));
    const column = Math.max(COLUMN, ...least);
    const scale = width / (wide ? figure.width : columns * column);
    const panels = [];
    let bottom = wide ? figure.height : 0, top = 0;
    figure.blocks.forEach((block, number) => {
        if (!wide && number % columns === 0) top = bottom;
        const left = wide ? block.left : (number % columns) * column, size = wide ? block.width : column;
        const start = wide ? block.top : top;
        let below = start + block.height;
        for (const panel of block.panels) {
            const inside = panel.left < 0 ? size + panel.left : panel.left, across = size - inside - panel.right;
            const key = keyRows(context, panel, size - inside - 6);
            if (key.length) below = Math.max(below, start + panel.bottom + panel.key_top + KEY_ROW * (key.at(-1).row + 1) + 6);
            const lift = panel.over ? uprightRoom(context, panel, across) : 0;
            below = Math.max(below, start + block.height + lift);
            const [y, h] = [start + panel.top + lift, panel.bottom - panel.top];
            panels.push({panel, key, x: left + inside, y, w: across, h, lift});
        }
        bottom = Math.max(bottom, below + (wide ? 0 : 10));
    });
    font(context, SMALL);
    const caption = figure.caption ? wrap(context, figure.caption, width / scale - 24) : [];
    return {scale, width, panels, caption, foot: bottom, height: scale * (bottom + caption.length * KEY_ROW + (caption.length ? 4 : 0))};
}

// Painting

const lookups = new Map();

function lookup(name, dark) {  // 256 colours of a ramp, each four bytes
    const key = `${name} ${dark}`;
    if (!lookups.has(key)) {
        const stops = LOOK.ramps[name][+dark].split(' ').map(word => [1, 3, 5].map(i => parseInt(word.slice(i, i + 2), 16)));
        const table = new Uint8ClampedArray(1024);
        for (let i = 0; i < 256; i++) {
            const place = i / 255 * (stops.length - 1), low = Math.min(Math.floor(place), stops.length - 2);
            for (let c = 0; c < 3; c++) table[4 * i + c] = stops[low][c] + (place - low) * (stops[low + 1][c] - stops[low][c]);
            table[4 * i + 3] = 255;
        }
        lookups.set(key, new Uint32Array(table.buffer));
    }
    return lookups.get(key);
}

function color(role, dark) {
    return role[0] === '#' ? role.split('|').at(dark ? -1 : 0) : LOOK.roles[role][+dark];
}

function shares(mark, column) {  // of a histogram's cells, from their packed cube roots
    const bins = mark.cells.row, found = new Float64Array(bins);
    let sum = 0;
    for (let i = 0; i < bins; i++) sum += found[i] = (mark.cells[column * bins + i] / 255) ** 3;
    if (sum) for (let i = 0; i < bins; i++) found[i] /= sum;
    return found;
}

function masses(mark, column, edges) {  // the column's share between each pair of edges
    const bins = mark.cells.row, cells = shares(mark, column), found = new Float64Array(edges.length - 1);
    const low = mark.low[column], high = mark.high[column];
    if (low === high) {
        for (let i = 0; i < found.length; i++) {
            const [a, b] = [Math.min(edges[i], edges[i + 1]), Math.max(edges[i], edges[i + 1])];
            if (low >= a && (low < b || (low === b && i === found.length - 1))) { found[i] = 1; break; }
        }
        return found;
    }
    const below = new Float64Array(bins + 1), width = (high - low) / bins;
    for (let i = 0; i < bins; i++) below[i + 1] = below[i] + cells[i];
    const shift = mark.split && low < 0 && high > 0 ? Math.floor(-low / width) + 0.5 + low / width : 0;
    let before = 0;
    for (let i = 0; i < edges.length; i++) {
        const place = (edges[i] - low) / width + shift, cell = Math.min(Math.max(Math.floor(place), 0), bins - 1);
        let here = below[cell] + Math.min(Math.max(place - cell, 0), 1) * cells[cell];
        if (mark.clip && i === 0) here = 0;
        if (mark.clip && i === edges.length - 1) here = below[bins];
        if (i) found[i - 1] = here - before;
        before = here;
    }
    return found;
}

function rowEdges(axis) {
    return Float64Array.from({length: ROWS + 1}, (_, i) => valueAt(axis, i / ROWS));
}

function picture(context, pixels, columns, rows, x, y, w, h, smooth) {  // pixels: Uint32Array, its first row on top
    const image = new OffscreenCanvas(columns, rows);
    image.getContext('2d').putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), columns, rows), 0, 0);
    context.imageSmoothingEnabled = smooth;
    context.drawImage(image, x, y, w, h);
}

const MARKS = {
    Columns(context, {panel, x, y, w, h}, mark, dark) {
        const table = lookup(mark.ramp, dark), edges = rowEdges(panel.y), place = placer(panel.x);
        const first = mark.x[0], count = Math.round(mark.x[mark.x.length - 1] - first) + 1;
        const pixels = new Uint32Array(ROWS * count).fill(table[0]);
        mark.x.forEach((at, column) => {
            const found = masses(mark, column, edges), peak = Math.max(...found);
            if (peak > 0) for (let i = 0; i < ROWS; i++) {
                if (found[i] > 0) pixels[(ROWS - 1 - i) * count + Math.round(at - first)] = table[Math.round(255 * (found[i] / peak) ** 0.6)];
            }
        });
        const left = x + w * place(first - 0.5), right = x + w * place(first + count - 0.5);
        picture(context, pixels, count, ROWS, left, y, right - left, h, false);
    },

    Heat(context, {panel, x, y, w, h}, mark, dark) {
        const columns = mark.values.row, rows = mark.values.length / columns, table = lookup(mark.ramp, dark);
        const pixels = new Uint32Array(rows * columns), [x0, x1, y0, y1] = heatEnds(panel, mark);
        const grey = new Uint32Array(new Uint8Array(dark ? [80, 80, 80, 255] : [204, 204, 204, 255]).buffer)[0];
        const up = y1 > y0;  // row 0 is the lowest
        for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) {
            const value = mark.values[row * columns + column], seen = value > 0 ? Math.max(value, mark.least) : value;
            const share = Math.min(Math.max((seen - mark.low) / (mark.high - mark.low), 0), 1);
            pixels[(up ? rows - 1 - row : row) * columns + column] = isNaN(value) ? grey : table[Math.round(255 * share)];
        }
        const top = y + h * (1 - Math.max(y0, y1));
        picture(context, pixels, columns, rows, x + w * x0, top, w * (x1 - x0), h * Math.abs(y1 - y0), mark.smooth);
        const cell = w * (x1 - x0) / columns, bytes = new Uint8Array(pixels.buffer);
        if (!mark.words.length) return;
        font(context, SMALL);
        const size = SMALL * Math.min(1, Math.max(0.5, cell / (6 + Math.max(...mark.words.map(one => context.measureText(one).width)))));
        mark.words.forEach((one, i) => {
            const column = i % columns, row = Math.floor(i / columns), pixel = 4 * ((up ? rows - 1 - row : row) * columns + column);
            const light = 0.299 * bytes[pixel] + 0.587 * bytes[pixel + 1] + 0.114 * bytes[pixel + 2] > 140;
            font(context, size, mark.bold[i]);
            words(context, 'center', 'middle', color(light ? 'ink' : 'page', false));
            context.fillText(one, x + w * x0 + cell * (column + 0.5), y + h * (1 - y0 - (y1 - y0) * (row + 0.5) / rows));
        });
    },

    Line(context, {panel, x, y, w, h}, mark, dark) {
        const across = placer(panel.x), up = mark.lane ? share => share : placer(panel.y);
        const points = Array.from(mark.x, (at, i) => [x + w * across(at), y + h * (1 - up(mark.y[i]))]);
        context.strokeStyle = context.fillStyle = color(mark.role, dark);
        context.globalAlpha = mark.alpha;
        if (mark.width) {
            context.lineWidth = mark.width;
            context.lineJoin = 'round';
            context.setLineDash(mark.dash);
            context.beginPath();
            let pen = false;
            for (const [px, py] of points) {
                if (isNaN(px) || isNaN(py)) pen = false;
                else { pen ? context.lineTo(px, py) : context.moveTo(px, py); pen = true; }
            }
            context.stroke();
            context.setLineDash([]);
        }
        if (mark.marker) points.forEach(([px, py], i) => {
            if (i % mark.every === 0 && (mark.free || (py >= y - 0.5 && py <= y + h + 0.5))) sign(context, mark, px, py, dark);
        });
    },

    Band(context, {panel, x, y, w, h}, mark, dark) {
        const across = placer(panel.x), up = placer(panel.y);
        const known = Array.from(mark.x, (_, i) => i).filter(i => !isNaN(up(mark.low[i])) && !isNaN(up(mark.high[i])));
        const corner = (i, edge) => [x + w * across(mark.x[i]), y + h * (1 - Math.min(Math.max(up(edge[i]), -0.5), 1.5))];
        context.fillStyle = color(mark.role, dark);
        context.globalAlpha = mark.alpha;
        context.beginPath();
        for (const i of known) context.lineTo(...corner(i, mark.low));
        for (const i of known.reverse()) context.lineTo(...corner(i, mark.high));
        context.fill();
    },

    Bars(context, box, mark, dark) {
        mark.left.forEach((_, i) => {
            const [x, y, w, h] = barBox(box, mark, i);
            if (isNaN(x + y + w + h)) return;
            context.fillStyle = context.strokeStyle = color(mark.roles[i % mark.roles.length], dark);
            context.globalAlpha = mark.alpha;
            if (!mark.hollow) {
                context.fillRect(x, y, w + (mark.alpha === 1 && !mark.hatch ? 0.6 : 0), h);  // no seams between neighbours
                return mark.hatch && hatch(context, mark.hatch, x, y, w, h, dark);
            }
            context.lineWidth = mark.width;
            context.setLineDash(mark.dash);
            context.strokeRect(x, y, w, h);
            context.setLineDash([]);
        });
    },

    Words(context, {panel, x, y, w, h}, mark, dark) {
        const across = mark.panel ? share => share : placer(panel.x), up = mark.panel ? share => share : placer(panel.y);
        const size = mark.size * fit(context, mark, Array.from(mark.x, at => w * across(at)), Array.from(mark.y, at => h * up(at)));
        mark.words.forEach((one, i) => {
            font(context, size, mark.bold[i % mark.bold.length]);
            const lines = one.split('\n'), high = size * 1.15;
            const px = x + w * across(mark.x[i]) + mark.shift[0];
            let py = y + h * (1 - up(mark.y[i])) - mark.shift[1];
            if (isNaN(px + py)) return;
            py -= {top: 0, middle: 0.5, bottom: 1}[mark.valign] * high * lines.length;
            const wide = Math.max(...lines.map(line => context.measureText(line).width));
            const left = px - {left: 0, center: 0.5, right: 1}[mark.align] * wide;
            if (mark.paper) {
                context.fillStyle = color('page', dark);
                context.globalAlpha = 0.75;
                context.fillRect(left - 5, py - 4, wide + 10, high * lines.length + 8);
                context.globalAlpha = 1;
            }
            context.fillStyle = color(mark.roles[i % mark.roles.length], dark);
            context.textAlign = 'left';
            context.textBaseline = 'middle';
            lines.forEach((line, row) => {
                const indent = {left: 0, center: 0.5, right: 1}[mark.align] * (wide - context.measureText(line).width);
                context.fillText(line, left + indent, py + high * (row + 0.5));
            });
        });
    },
};

function fit(context, mark, xs, ys) {  // how much smaller words in a row must be to stay clear of each other
    font(context, mark.size, mark.bold.some(Boolean));
    let share = 1;
    for (let i = 1; i < xs.length; i++) {
        const gap = Math.abs(xs[i] - xs[i - 1]);
        if (gap > 0 && Math.abs(ys[i] - ys[i - 1]) < mark.size) {
            const wide = Math.max(context.measureText(mark.words[i]).width, context.measureText(mark.words[i - 1]).width);
            share = Math.min(share, gap / (wide + 4));
        }
    }
    return Math.max(share, 0.5);
}

const FREE = new Set(['Words']);  // these may leave their panel; points may too

function heatEnds(panel, mark) {  // left, right, and the places of row 0's outer edge and of the last row's
    const x = panel.x.scale === 'linear' ? mark.x.map(placer(panel.x)) : mark.x;
    const y = panel.y.scale === 'linear' ? mark.y.map(placer(panel.y)) : mark.y;
    return [...x, ...y];
}

function barBox({panel, x, y, w, h}, mark, i) {
    const at = (axis, value) => value === Infinity ? 1 : value === -Infinity ? 0 : placer(axis)(value);
    const [left, right] = [at(panel.x, mark.left[i]), at(panel.x, mark.right[i])].sort((a, b) => a - b);
    const [bottom, top] = [at(panel.y, mark.bottom[i]), at(panel.y, mark.top[i])].sort((a, b) => a - b);
    return [x + w * left, y + h * (1 - top), w * (right - left), h * (top - bottom)];
}

function hatch(context, kind, x, y, w, h, dark) {
    context.save();
    context.beginPath();
    context.rect(x, y, w, h);
    context.clip();
    context.strokeStyle = color('page', dark);
    context.lineWidth = 1.4;
    context.beginPath();
    for (let at = x - h; at < x + w; at += 14) {
        context.moveTo(at, y + h);
        context.lineTo(at + h, y);
        if (kind === 'x') { context.moveTo(at, y); context.lineTo(at + h, y + h); }
    }
    context.stroke();
    context.restore();
}

function sign(context, mark, x, y, dark) {
    const r = mark.size / 2, edge = mark.size > 7 ? 2.5 : 2;
    context.beginPath();
    const corners = {
        s: [[-1, -1], [1, -1], [1, 1], [-1, 1]], '^': [[0, -1], [1, 1], [-1, 1]], v: [[0, 1], [1, -1], [-1, -1]],
        D: [[0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]],
        P: [[-.4, -1], [.4, -1], [.4, -.4], [1, -.4], [1, .4], [.4, .4], [.4, 1], [-.4, 1], [-.4, .4], [-1, .4], [-1, -.4], [-.4, -.4]],
        X: [[-1, -.5], [-.5, -1], [0, -.5], [.5, -1], [1, -.5], [.5, 0], [1, .5], [.5, 1], [0, .5], [-.5, 1], [-1, .5], [-.5, 0]],
        '*': Array.from({length: 10}, (_, i) => [(i % 2 ? 0.5 : 1.2) * Math.sin(i * Math.PI / 5), -(i % 2 ? 0.5 : 1.2) * Math.cos(i * Math.PI / 5)]),
    }[mark.marker];
    if (corners) {
        corners.forEach(([dx, dy]) => context.lineTo(x + r * dx, y + r * dy));
        context.closePath();
    } else if (mark.marker === 'o' || mark.marker === 'ring') {
        context.arc(x, y, r, 0, 2 * Math.PI);
    } else {
        const strokes = {x: [[-1, -1, 1, 1], [-1, 1, 1, -1]], '+': [[-1, 0, 1, 0], [0, -1, 0, 1]], '|': [[0, -1, 0, 1]]}[mark.marker];
        for (const [a, b, c, d] of strokes) { context.moveTo(x + r * a, y + r * b); context.lineTo(x + r * c, y + r * d); }
        context.lineWidth = 2.5;
        context.stroke();
        return;
    }
    const ink = context.fillStyle;
    if (mark.marker === 'ring') {
        context.lineWidth = 3;
        context.stroke();
    } else if (mark.hollow) {
        context.fillStyle = color('paper', dark);
        context.lineWidth = edge;
        context.fill();
        context.stroke();
    } else context.fill();
    if (mark.edge) {
        context.strokeStyle = color(mark.edge, dark);
        context.lineWidth = 1.4;
        context.stroke();
        context.strokeStyle = ink;
    }
    context.fillStyle = ink;
}

// Paint a figure on a canvas of `plan.width` x `plan.height` pixels times `ratio`. `cursor` is null or what `cursorAt` gives.
function paint(context, figure, plan, {ratio = 1, dark = false, cursor = null} = {}) {
    const size = ratio * plan.scale;
    context.setTransform(size, 0, 0, size, 0, 0);
    context.globalAlpha = 1;
    context.fillStyle = color('page', dark);
    context.fillRect(0, 0, plan.width / plan.scale + 1, plan.height / plan.scale + 1);
    for (const box of plan.panels) panelOn(context, box, dark);
    font(context, SMALL);
    words(context, 'left', 'middle', color('grey', dark));
    plan.caption.forEach((line, row) => context.fillText(line, 12, plan.foot + KEY_ROW * (row + 0.5)));
    if (cursor) cursorOn(context, figure, plan, cursor, dark);
}

function words(context, align, baseline, shade) {
    context.textAlign = align;
    context.textBaseline = baseline;
    context.fillStyle = shade;
    context.globalAlpha = 1;
}

function panelOn(context, box, dark) {
    const {panel, key, x, y, w, h} = box, ink = color('ink', dark);
    context.globalAlpha = 1;
    context.fillStyle = color('paper', dark);
    context.fillRect(x, y, w, h);
    context.lineWidth = 1.1;
    context.strokeStyle = color('grid', dark);
    if (panel.grid) for (const tick of panel.y.ticks) {
        const at = y + h * (1 - tickPlace(panel.y, tick));
        context.beginPath();
        context.moveTo(x, at);
        context.lineTo(x + w, at);
        context.stroke();
    }
    for (const mark of panel.marks) {
        context.save();
        if (!FREE.has(mark.kind) && !(mark.kind === 'Line' && (mark.marker || mark.free))) {
            context.beginPath();
            context.rect(x, y, w, h);
            context.clip();
        }
        MARKS[mark.kind](context, box, mark, dark);
        context.restore();
    }
    context.strokeStyle = ink;
    context.lineWidth = 1.1;
    font(context, NORMAL);
    const down = panel.over ? -1 : 1, level = panel.over ? y : y + h;
    words(context, 'center', panel.over ? 'bottom' : 'top', ink);
    if (panel.over) font(context, SMALL);
    let free = Infinity, rows = 1;
    for (let i = panel.x.ticks.length - 1; i >= 0; i--) {  // the last label is the one to keep
        const at = x + w * tickPlace(panel.x, panel.x.ticks[i]), lines = (panel.x.labels[i] || '').split('\n');
        const half = Math.max(...lines.map(line => context.measureText(line).width)) / 2;
        if (panel.x.tick) { context.beginPath(); context.moveTo(at, level); context.lineTo(at, level + down * panel.x.tick); context.stroke(); }
        if (box.lift) {
            context.save();
            context.translate(at, level - panel.x.tick - 8);
            context.rotate(-Math.PI / 2);
            words(context, 'left', 'middle', ink);
            context.fillText(panel.x.labels[i], 0, 0);
            context.restore();
            continue;
        }
        if (!panel.x.labels[i] || at + half > free) continue;
        lines.forEach((line, row) => context.fillText(line, at, level + down * (panel.x.tick + 8 + 22 * row)));
        rows = Math.max(rows, lines.length);
        free = at - half - 3;
    }
    font(context, NORMAL);
    if (panel.x.title) context.fillText(panel.x.title, x + w / 2, y + h + 33 + 22 * (rows - 1));
    const right = panel.side === 'right', side = right ? x + w : x, out = right ? 1 : -1, tickLength = panel.grid ? 0 : panel.y.tick;
    font(context, panel.y.tick ? NORMAL : SMALL);
    words(context, right ? 'left' : 'right', 'middle', ink);
    let widest = 0;
    panel.y.ticks.forEach((tick, i) => {
        const at = y + h * (1 - tickPlace(panel.y, tick)), lines = (panel.y.labels[i] || '').split('\n');
        if (tickLength) { context.beginPath(); context.moveTo(side, at); context.lineTo(side + out * tickLength, at); context.stroke(); }
        lines.forEach((line, row) => {
            context.fillText(line, side + out * (tickLength + 5), at + 1 + (row - (lines.length - 1) / 2) * 20);
            widest = Math.max(widest, context.measureText(line).width);
        });
    });
    if (panel.y.title) {
        context.save();
        context.translate(side + out * (tickLength + 12 + widest), y + h / 2);
        context.rotate(-Math.PI / 2);
        words(context, 'center', right ? 'top' : 'bottom', ink);
        context.fillText(panel.y.title, 0, 0);
        context.restore();
    }
    if (panel.title) {
        words(context, 'left', 'bottom', ink);
        font(context, TITLE);
        const room = w + panel.right - 2, wide = context.measureText(panel.title).width;
        if (wide > room) font(context, TITLE * Math.max(0.5, room / wide));
        context.fillText(panel.title, x, y - (panel.over ? 34 + box.lift : 7));
    }
    font(context, NORMAL);
    words(context, 'center', 'middle', ink);
    if (panel.note) context.fillText(panel.note, x + w / 2, y + h / 2);
    font(context, SMALL);
    for (const one of key) {
        words(context, 'left', 'top', color(one.role, dark));
        context.fillText(one.words, x + one.x, y + h + panel.key_top + KEY_ROW * one.row);
    }
}

// Values under a pointer or a cursor

const SUPER = '⁰¹²³⁴⁵⁶⁷⁸⁹';

function told(value, percent) {  // a number in words, three digits
    if (isNaN(value)) return '–';
    if (percent) return value > 0 && value < 0.001 ? '< 0.1 %' : `${+(100 * value).toPrecision(3)} %`;
    if (!isFinite(value)) return value > 0 ? '∞' : '−∞';
    const size = Math.abs(value);
    if (value === 0 || (size >= 1e-3 && size < 1e5)) return String(+value.toPrecision(3)).replace('-', '−');
    const [digits, power] = value.toExponential(2).split('e');
    const raised = power.replace('+', '').replace('-', '⁻').replace(/\d/g, digit => SUPER[digit]);
    return `${String(+digits).replace('-', '−')}·10${raised}`;
}

function linked(plan, box) {  // the panels that share a panel's cursor
    const name = box.panel.x.name;
    return name ? plan.panels.filter(other => other.panel.x.name === name) : [box];
}

function stops(plan, box) {  // where a cursor can be along the horizontal axis
    const found = new Set();
    for (const {panel} of linked(plan, box)) for (const mark of panel.marks) {
        if (!mark.name) continue;
        if (mark.kind === 'Line' || mark.kind === 'Columns') mark.x.forEach(at => found.add(at));
        if (mark.kind === 'Heat' && panel.x.scale === 'linear') {
            const count = mark.values.row, step = (mark.x[1] - mark.x[0]) / count;
            for (let i = 0; i < count; i++) found.add(+(mark.x[0] + step * (i + 0.5)).toPrecision(10));
        }
        if (mark.kind === 'Bars') mark.left.forEach((left, i) => found.add((left + mark.right[i]) / 2));
    }
    const whole = box.panel.x.name === 'layer';  // marks of a layer may stand beside each other
    return [...new Set([...found].filter(isFinite).map(at => whole ? Math.round(at) : at))].sort((a, b) => a - b);
}

function nearest(values, wanted) {
    let best = 0;
    for (let i = 1; i < values.length; i++) if (Math.abs(values[i] - wanted) < Math.abs(values[best] - wanted)) best = i;
    return best;
}

function levels(box) {  // the rows of a panel's map, if it has one
    const heat = box.panel.marks.find(mark => mark.kind === 'Heat' && mark.name && mark.values.length > mark.values.row);
    return heat ? heat.values.length / heat.values.row : 0;
}

// The panel at a place of the canvas, and the values there: null outside of all panels.
function cursorAt(plan, px, py) {
    const x = px / plan.scale, y = py / plan.scale;
    const number = plan.panels.findIndex(box => x >= box.x - 4 && x <= box.x + box.w + 4 && y >= box.y - 4 && y <= box.y + box.h + 4);
    if (number < 0) return null;
    const box = plan.panels[number], places = stops(plan, box);
    if (!places.length) return null;
    const at = valueAt(box.panel.x, (x - box.x) / box.w);
    return {number, x: places[nearest(places, at)], y: Math.min(Math.max(1 - (y - box.y) / box.h, 0), 1)};
}

// A cursor moved by keys: `right` places along the axis, `up` rows of a map or panels.
function cursorMoved(plan, cursor, right, up) {
    const able = plan.panels.map((box, i) => stops(plan, box).length ? i : -1).filter(i => i >= 0);
    if (!able.length) return null;
    if (!cursor) return {number: able[0], x: stops(plan, plan.panels[able[0]])[0], y: levels(plan.panels[able[0]]) ? 0.999 : null};
    let {number, x, y} = cursor;
    const rows = levels(plan.panels[number]);
    if (rows && up) {
        const moved = (y ?? 0.5) + up / rows;
        if (moved > 0 && moved < 1) return {number, x, y: moved};
    }
    if (up) {
        const group = i => plan.panels[i].panel.x.name || i;
        const others = able.filter((i, place) => rows || levels(plan.panels[i]) || able.findIndex(j => group(j) === group(i)) === place);
        const here = Math.max(others.findIndex(i => i === number || group(i) === group(number)), 0);
        number = others[(here - up + others.length) % others.length];
        y = levels(plan.panels[number]) ? (up < 0 ? 0.999 : 0.001) : null;
    }
    const places = stops(plan, plan.panels[number]);
    const at = Math.min(Math.max(nearest(places, x) + right, 0), places.length - 1);
    return {number, x: places[at], y};
}

// What is read at a cursor: [[words of a thing, [its values, in words]], ...], the place first.
function readings(plan, cursor) {
    const here = plan.panels[cursor.number], axis = here.panel.x, groups = new Map();
    const tick = axis.ticks.findIndex((_, i) => Math.abs(valueAt(axis, tickPlace(axis, axis.ticks[i])) - cursor.x) < 1e-9);
    const where = axis.labels[tick] || linked(plan, here).map(({panel}) => panel.x).flatMap(other =>
        other.labels.filter((_, i) => other.ticks[i] === cursor.x && other.scale === 'linear'))[0] || told(cursor.x);
    const add = (name, words) => {
        const [group, item] = name.includes(': ') ? name.split(': ') : ['', name];
        if (!groups.has(group)) groups.set(group, []);
        groups.get(group).push(`${item} ${words}`.trim());
    };
    for (const box of linked(plan, here)) for (const mark of box.panel.marks) {
        if (!mark.name) continue;
        const span = Math.abs(valueAt(axis, 1) - valueAt(axis, 0));
        if (mark.kind === 'Line' && mark.x.length) {
            const i = nearest(mark.x, cursor.x);
            if (!isNaN(mark.y[i]) && Math.abs(mark.x[i] - cursor.x) <= (axis.name === 'layer' ? 0.5 : 0.02 * span)) add(mark.name, told(mark.y[i], mark.percent));
        }
        if (mark.kind === 'Heat') {
            const columns = mark.values.row, rows = mark.values.length / columns, [x0, x1, y0, y1] = heatEnds(box.panel, mark);
            const column = Math.floor((placer(box.panel.x)(cursor.x) - x0) / (x1 - x0) * columns);
            const row = rows === 1 ? 0 : box === here && cursor.y !== null ? Math.floor((cursor.y - y0) / (y1 - y0) * rows) : -1;
            if (column >= 0 && column < columns && row >= 0 && row < rows) {
                const label = rows > 1 && box.panel.y.labels.find((_, i) => Math.abs(tickPlace(box.panel.y, box.panel.y.ticks[i]) - cursor.y) <= 0.5 / rows);
                add(mark.name, `${label ? label + ': ' : ''}${told(mark.values[row * columns + column], mark.percent)}`);
            }
        }
        if (box !== here) continue;
        if (mark.kind === 'Columns' && cursor.y !== null) {
            const i = nearest(mark.x, cursor.x), edges = rowEdges(box.panel.y);
            const row = Math.min(Math.floor(cursor.y * ROWS), ROWS - 1);
            if (Math.abs(mark.x[i] - cursor.x) <= 0.5) {
                add(mark.name, `${told((edges[row] + edges[row + 1]) / 2)}: ${told(masses(mark, i, edges)[row], true)}`);
            }
        }
        if (mark.kind === 'Bars') mark.left.forEach((left, i) => {
            if (cursor.x >= left && cursor.x <= mark.right[i]) add(mark.name, told(mark.top[i], mark.percent));
        });
    }
    return [[`${axis.name} ${where}`.trim(), []], ...groups];
}

function lines(read) {
    return read.map(([thing, values]) => [thing, values.join(', ')].filter(Boolean).join(': ')).filter(Boolean);
}

function cursorOn(context, figure, plan, cursor, dark) {
    const here = plan.panels[cursor.number];
    if (!here) return;
    context.strokeStyle = color('ink', dark);
    context.lineWidth = 1.4;
    for (const box of linked(plan, here)) {
        const at = box.x + box.w * placer(box.panel.x)(cursor.x);
        context.globalAlpha = 0.6;
        context.beginPath();
        context.moveTo(at, box.y);
        context.lineTo(at, box.y + box.h);
        context.stroke();
    }
    const all = plan.width / plan.scale, room = Math.min(all - 8, 470);
    font(context, SMALL);
    const shown = lines(readings(plan, cursor)).flatMap(line => wrap(context, line, room - 20));
    const wide = Math.max(...shown.map(line => context.measureText(line).width)) + 20, high = 23 * shown.length + 14;
    const at = here.x + here.w * placer(here.panel.x)(cursor.x);
    const left = Math.max(2, Math.min(at + 14 + wide > all ? at - 14 - wide : at + 14, all - wide - 2));
    const level = here.y + here.h * (cursor.y === null ? 0.25 : 1 - cursor.y);
    const top = Math.max(2, Math.min(level - high / 2, plan.height / plan.scale - high - 2));
    context.globalAlpha = 0.94;
    context.fillStyle = color('page', dark);
    context.fillRect(left, top, wide, high);
    context.globalAlpha = 1;
    context.strokeStyle = color('grey', dark);
    context.strokeRect(left, top, wide, high);
    words(context, 'left', 'middle', color('ink', dark));
    shown.forEach((line, row) => {
        font(context, SMALL, row === 0);
        context.fillText(line, left + 10, top + 7 + 23 * (row + 0.5));
    });
}
