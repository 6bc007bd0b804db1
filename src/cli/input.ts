/**
 * Documents from a file or from stdin (`-`). Two shapes are told apart by the first line: one JSON object
 * a line, which is read as it comes and may have no end, and YAML or JSON that is read whole and may hold
 * several documents. YAML scalars stay the text that was written: a version `1.10` is not the number 1.1.
 */
import { createReadStream } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { InputError } from './exit.js';

/** The longest line, and the longest text that is read whole, in characters. */
const MAX_LINE_CHARS = 1024 * 1024;
const MAX_TEXT_CHARS = 64 * 1024 * 1024;

/** One document, and where it stands in words: `orders.yaml, document 2`. */
export interface InputDocument {
  readonly value: unknown;
  readonly where: string;
}

type TextStream = AsyncIterable<string | Buffer>;
interface Line {
  readonly text: string;
  readonly number: number;
}

/** The documents of a file, in order. @throws InputError when it cannot be read or is malformed */
export async function* readDocuments(path: string, stdin: TextStream): AsyncGenerator<InputDocument> {
  const name = path === '-' ? 'stdin' : path;
  const lines = linesOf(path === '-' ? stdin : createReadStream(path), name);
  let first = await lines.next();
  while (!first.done && first.value.text.trim() === '') first = await lines.next();
  if (first.done) throw new InputError(`${name} holds no document`);
  if (jsonObject(first.value.text)) yield* jsonLines(first.value, lines, name);
  else yield* wholeDocuments(await joined(first.value, lines, name), name);
}

async function* jsonLines(
  first: Line,
  rest: AsyncIterable<Line>,
  name: string,
): AsyncGenerator<InputDocument> {
  yield { value: jsonObject(first.text), where: `${name}, line ${first.number}` };
  for await (const { text, number } of rest) {
    if (text.trim() === '') continue;
    const value = jsonObject(text);
    if (!value) throw new InputError(`${name}, line ${number}: is not a JSON object, as the first line is`);
    yield { value, where: `${name}, line ${number}` };
  }
}

async function joined(first: Line, rest: AsyncIterable<Line>, name: string): Promise<string> {
  const texts = ['\n'.repeat(first.number - 1) + first.text];
  let chars = first.text.length;
  for await (const { text } of rest) {
    chars += text.length + 1;
    if (chars > MAX_TEXT_CHARS) throw new InputError(`${name}: is longer than 64 MiB; split it`);
    texts.push(text);
  }
  return texts.join('\n');
}

function wholeDocuments(text: string, name: string): InputDocument[] {
  const values = jsonDocument(text) ?? yamlDocuments(text, name);
  const items = values.flatMap((value) => (Array.isArray(value) ? value : [value]));
  if (items.length === 1) return [{ value: items[0], where: name }];
  return items.map((value, i) => ({ value, where: `${name}, document ${i + 1}` }));
}

function yamlDocuments(text: string, name: string): unknown[] {
  const documents = parseAllDocuments(text, { schema: 'failsafe', prettyErrors: true });
  return [...documents].flatMap((document) => {
    try {
      const [error] = document.errors;
      if (error) throw error;
      const value: unknown = document.toJS();
      return value === null || value === '' ? [] : [value];
    } catch (error) {
      // Its first line says what and where; the ones after it quote the text.
      throw new InputError(`${name}: ${(error as Error).message.split('\n')[0]?.replace(/:$/, '')}`);
    }
  });
}

function jsonDocument(text: string): unknown[] | undefined {
  try {
    return [JSON.parse(text)];
  } catch {
    // Not JSON as a whole: YAML knows better what is wrong with it, or nothing is.
    return undefined;
  }
}

function jsonObject(text: string): object | undefined {
  if (!text.trimStart().startsWith('{')) return undefined;
  const [value] = jsonDocument(text) ?? [];
  return typeof value === 'object' && value !== null ? value : undefined;
}

async function* linesOf(stream: TextStream, name: string): AsyncGenerator<Line> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let number = 0;
  let open = '';
  try {
    for await (const chunk of stream) {
      const texts = (
        open + (typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true }))
      ).split('\n');
      open = texts.pop() ?? '';
      for (const text of texts) {
        number += 1;
        yield { text, number };
      }
      if (open.length > MAX_LINE_CHARS)
        throw new InputError(`${name}, line ${number + 1}: is longer than 1 MiB`);
    }
    open += decoder.decode();
  } catch (error) {
    throw error instanceof InputError
      ? error
      : new InputError(`cannot read ${name}: ${(error as Error).message}`);
  }
  if (open !== '') yield { text: open, number: number + 1 };
}
