'use strict';
(() => {
  const readings = JSON.parse(document.getElementById('readings').textContent);

  const number = value => {
    if (value === null) return '–';
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-3 || size >= 1e5)) {
      const [mantissa, power] = value.toExponential(2).split('e');
      const raised = [...String(Number(power))].map(sign => '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'['-0123456789'.indexOf(sign)]).join('');
      return `${Number(mantissa)} × 10${raised}`.replace('-', '−');
    }
    return String(Number(value.toPrecision(3))).replace('-', '−');
  };

  // The nearest point of a curve: along x where a curve is followed, else in the plane.
  const nearest = (curve, x, y, along) => {
    let best = -1, least = Infinity;
    curve.left.forEach((left, index) => {
      const distance = along ? Math.abs(left - x) : Math.hypot(left - x, curve.top[index] - y);
      if (distance < least) [best, least] = [index, distance];
    });
    return { curve, index: best, distance: least };
  };

  const find = (panel, hidden, x, y) => {
    const shown = panel.curves.filter(curve => curve.left.length && !hidden.has(curve.number));
    if (!shown.some(curve => curve.follows) && shown.some(curve => curve.left.length > 50)) {
      const all = shown.map(curve => nearest(curve, x, y, false)).sort((a, b) => a.distance - b.distance);
      return all.slice(0, 1).filter(point => point.distance < 15);
    }
    const points = shown.map(curve => nearest(curve, x, y, true)).filter(point => point.distance < (point.curve.follows ? 20 : 12));
    if (points.length <= 6) return points;
    const height = point => Math.abs(point.curve.top[point.index] - y);
    return points.sort((a, b) => height(a) - height(b)).slice(0, 2);
  };

  const row = (text, bold) => {
    const line = document.createElement('div');
    if (bold) line.className = 'where';
    line.textContent = text;
    return line;
  };

  const describe = ({ curve, index }) => {
    let text = `${curve.name}: ${number(curve.y[index])}`;
    if (curve.stderr && curve.stderr[index]) text += ` ± ${number(Number(curve.stderr[index].toPrecision(2)))}`;
    if (curve.interval) text += `, 95 % [${number(curve.interval[0][index])}, ${number(curve.interval[1][index])}]`;
    return text;
  };

  document.querySelectorAll('figure').forEach(figure => {
    const svg = figure.querySelector('.drawing svg');
    const panels = readings[figure.id.replace('figure-', '')];
    if (!svg || !panels || !panels.length) return;
    const drawing = figure.querySelector('.drawing');
    const prefix = figure.id.replace('figure-', '');
    const hidden = new Set();
    const tip = document.createElement('div');
    tip.className = 'tip';
    tip.hidden = true;
    tip.setAttribute('aria-hidden', 'true');
    figure.append(tip);
    const cursor = svg.appendChild(document.createElementNS(svg.namespaceURI, 'g'));
    cursor.setAttribute('class', 'cursor');

    figure.querySelectorAll('.legend button').forEach(button => button.addEventListener('click', () => {
      const curve = Number(button.dataset.curve);
      const visible = button.getAttribute('aria-pressed') !== 'true';
      button.setAttribute('aria-pressed', String(visible));
      visible ? hidden.delete(curve) : hidden.add(curve);
      svg.querySelectorAll(`[id^="${prefix}-curve${curve}-"]`).forEach(part => {
        part.style.display = visible ? '' : 'none';
      });
    }));

    const leave = () => { tip.hidden = true; cursor.replaceChildren(); };
    const move = event => {
      const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const panel = panels.find(({ box }) => place.x >= box[0] - 4 && place.x <= box[2] + 4 && place.y >= box[1] - 4 && place.y <= box[3] + 4);
      const points = panel ? find(panel, hidden, place.x, place.y) : [];
      leave();
      if (!points.length) return;
      const first = points.reduce((best, point) => (point.distance < best.distance ? point : best));
      const left = first.curve.left[first.index];
      const line = document.createElementNS(svg.namespaceURI, 'line');
      Object.entries({ x1: left, x2: left, y1: panel.box[1], y2: panel.box[3] }).forEach(([name, value]) => line.setAttribute(name, value));
      cursor.append(line);
      points.forEach(({ curve, index }) => {
        const top = curve.top[index];
        if (top < panel.box[1] - 1 || top > panel.box[3] + 1) return;
        const dot = document.createElementNS(svg.namespaceURI, 'circle');
        Object.entries({ cx: curve.left[index], cy: top, r: 3 }).forEach(([name, value]) => dot.setAttribute(name, value));
        cursor.append(dot);
      });
      tip.replaceChildren(row(`${panel.x || 'x'}: ${number(first.curve.x[first.index])}`, true), ...points.map(point => row(describe(point))));
      tip.hidden = false;
      const around = figure.getBoundingClientRect();
      const x = event.clientX - around.left, y = event.clientY - around.top;
      tip.style.left = `${Math.max(4, Math.min(x + 14, figure.clientWidth - tip.offsetWidth - 4))}px`;
      tip.style.top = `${Math.max(4, y - tip.offsetHeight - 12)}px`;
    };
    drawing.addEventListener('pointermove', move);
    drawing.addEventListener('pointerdown', move);
    drawing.addEventListener('pointerleave', leave);
  });

  // What is folded is on paper as well.
  const opened = [];
  addEventListener('beforeprint', () => document.querySelectorAll('details:not([open])').forEach(section => {
    section.open = true;
    opened.push(section);
  }));
  addEventListener('afterprint', () => opened.splice(0).forEach(section => { section.open = false; }));
})();
