// Rows of the page: a record of the API -> an element, as logs.html.j2 makes the first ones; a test holds the two to be
// the same. Text goes in as text alone. Left to others: which rows there are (logs.js).

const EXPAND_FROM = Number(document.body.dataset.expandFrom); // characters: a longer line is cut off at the edge, and opens

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const clock = (time) => `${MONTHS[Number(time.slice(5, 7)) - 1]} ${time.slice(8, 10)} ${time.slice(11, 23)}`;

export function element(name, kind, text) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  if (text !== undefined) made.textContent = text;
  return made;
}

export const address = (record) =>
  `L${record.stream}@${record.offset}` +
  (record.type === "mark" ? "." + record.what : "") + (record.loss ? "." + record.loss.id : "");

// `link` makes the address of the page with more in its query.
export function row(record, link) {
  const made = element("li", record.type === "mark" ? `row mark ${record.what}` : "row");
  made.id = address(record);
  const time = element("time", "", clock(record.time));
  time.dateTime = record.time;
  const tag = element(record.place ? "a" : "span", record.place ? `tag h${record.hue}` : "", record.place);
  if (record.place) {
    tag.href = link({ q: record.place });
    tag.title = record.place;
  }
  const program = element("span", "program", record.program);
  program.title = record.program;
  const said = element("div", "said");
  if (record.text.length > EXPAND_FROM) {
    said.append(element("details", "text"));
    said.lastChild.append(element("summary", "", record.text));
  } else {
    said.append(element("span", "text", record.text));
  }
  if (record.left_out) said.append(element("span", "note", `${record.left_out.toLocaleString("en")} bytes more`));
  if (record.flags) said.append(element("span", "note", record.flags.join(", ")));
  made.append(time, tag, program, said);
  return made;
}

// Rows, and how many lines are hidden.
export function sorted(records) {
  const of = (type) => records.filter((one) => one.type === type);
  return {
    records: records.filter((one) => one.type === "line" || one.type === "mark"),
    hidden: of("hidden").reduce((sum, one) => sum + one.lines, 0),
  };
}
