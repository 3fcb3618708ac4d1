// Parses and binds queries with Microsoft's language service for Kusto, offline.
//
// Reads {tables: {name: schema}, logged: fields, queries: {name: text}} from stdin. `logged` is an
// example of what a run logs: `parse_json` is taken to answer an object of that shape, so that a
// field which is not logged is found too. Prints {name: [message, …]}.
"use strict";

require("@kusto/language-service-next/bridge.min.js");
require("@kusto/language-service-next/Kusto.Language.Bridge.min.js");

const { Symbols, Syntax, GlobalState, KustoCode, Diagnostic } = globalThis.Kusto.Language;
const { ScalarTypes } = Symbols;
const items = (list, type) =>
  Array.from({ length: System.Array.getCount(list, type) }, (_, i) => System.Array.getItem(list, i, type));

function typeOf(value) {
  if (value === null || Array.isArray(value)) return ScalarTypes.Dynamic;
  if (typeof value === "object") {
    const properties = Object.entries(value).map(([name, inner]) => new Symbols.ColumnSymbol(name, typeOf(inner)));
    return ScalarTypes.GetDynamicBag(properties);
  }
  if (typeof value === "boolean") return ScalarTypes.Bool;
  if (typeof value === "number") return ScalarTypes.Real;
  return ScalarTypes.String;
}

function globals({ tables, logged }) {
  const symbols = Object.entries(tables).map(
    ([name, schema]) => new Symbols.TableSymbol.$ctor7(name, schema, null));
  const known = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.$ctor1("app", symbols));
  const text = new Symbols.Parameter.$ctor2("text", ScalarTypes.String);
  const parse = new Symbols.FunctionSymbol.$ctor5("parse_json", typeOf(logged), [text]);
  const functions = items(known.Functions, Symbols.FunctionSymbol).map((f) => (f.Name === "parse_json" ? parse : f));
  return known.WithFunctions(System.Array.init(functions, Symbols.FunctionSymbol));
}

// The language service lets every name through that follows a value of dynamic type.
function unknownFields(node, found = []) {
  if (node.Kind === Syntax.SyntaxKind.PathExpression) {
    const bag = node.Expression.ResultType;
    if (bag instanceof Symbols.DynamicBagSymbol) {
      const fields = items(bag.Properties, Symbols.ColumnSymbol).map((p) => p.Name);
      const name = node.Selector.SimpleName;
      if (!fields.includes(name)) found.push(`The field '${name}' is not logged.`);
    }
  }
  for (let i = 0; i < node.ChildCount; i++) {
    const child = node.GetChild(i);
    if (child) unknownFields(child, found);
  }
  return found;
}

const request = JSON.parse(require("node:fs").readFileSync(0, "utf-8"));
const state = globals(request);
const answers = {};
for (const [name, query] of Object.entries(request.queries)) {
  const code = KustoCode.ParseAndAnalyze(query, state);
  const said = items(code.GetDiagnostics(), Diagnostic).map((d) => `${d.Severity} ${d.Code}: ${d.Message}`);
  answers[name] = [...said, ...unknownFields(code.Syntax)];
}
process.stdout.write(JSON.stringify(answers));
