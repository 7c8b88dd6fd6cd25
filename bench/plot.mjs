// A bar chart of ratios to direct, as SVG, without a library.
const COLOURS = ['#5b7083', '#b08968', '#7a9e7e', '#3d5a98'];

export function plot(points, ways) {
  const [bar, gap, left, top, height] = [18, 26, 50, 40, 220];
  const group = ways.length * bar + gap;
  const width = left + points.length * group + 20;
  const y = (ratio) => top + height - Math.min(ratio, 1.2) * (height / 1.2);
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${top + height + 70}" font-family="sans-serif" font-size="11">`,
    '<rect width="100%" height="100%" fill="white"/>',
    `<text x="${left}" y="18" font-size="13">pgbench -S: transactions per second, ratio to direct (median)</text>`,
  ];
  for (const ratio of [0, 0.25, 0.5, 0.75, 1]) {
    out.push(`<line x1="${left}" x2="${width - 10}" y1="${y(ratio)}" y2="${y(ratio)}" stroke="#ddd"/>`);
    out.push(`<text x="${left - 6}" y="${y(ratio) + 4}" text-anchor="end">${ratio}</text>`);
  }
  points.forEach((point, i) => {
    const x = left + i * group + gap / 2;
    ways.forEach((way, j) => {
      const ratio = point.ways[way]?.ratio;
      if (ratio === undefined) return;
      const x1 = x + j * bar;
      out.push(
        `<rect x="${x1}" y="${y(ratio)}" width="${bar - 3}" height="${top + height - y(ratio)}" fill="${COLOURS[j % COLOURS.length]}"><title>${way}: ${ratio.toFixed(2)}</title></rect>`,
      );
    });
    out.push(
      `<text x="${x + (ways.length * bar) / 2}" y="${top + height + 16}" text-anchor="middle">${point.mode} ${point.clients}c</text>`,
    );
  });
  ways.forEach((way, j) => {
    const x = left + j * 110;
    out.push(
      `<rect x="${x}" y="${top + height + 34}" width="11" height="11" fill="${COLOURS[j % COLOURS.length]}"/>`,
    );
    out.push(`<text x="${x + 16}" y="${top + height + 44}">${way}</text>`);
  });
  return `${out.join('\n')}\n</svg>\n`;
}
