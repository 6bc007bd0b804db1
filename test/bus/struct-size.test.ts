/** The size of a JSON object on the wire, against what encoding it makes. */
import { fromJson, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { StructSchema } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { STRUCT_MOST_TIMES, structSize } from '../../src/bus/struct-size.js';

function encodedSize(object: JsonObject): number {
  return toBinary(StructSchema, fromJson(StructSchema, object)).byteLength;
}

describe('the size of a Struct', () => {
  it('is what encoding makes of it', () => {
    const objects = fc.dictionary(
      fc.string({ unit: 'grapheme' }).filter((name) => name !== '__proto__'),
      fc.jsonValue({ stringUnit: 'grapheme', maxDepth: 4 }),
    );
    fc.assert(
      fc.property(objects, (object) => {
        expect(structSize(object as JsonObject)).toBe(encodedSize(object as JsonObject));
      }),
    );
  });

  it.each<JsonObject>([
    {},
    { a: [] },
    { a: new Array(10_000).fill(0) },
    { a: 'x'.repeat(20_000) },
    { a: new Array(50).fill({ b: [[], {}, null, true] }) },
    { text: '🜁'.repeat(32), nested: { nested: { nested: {} } } },
  ])('is right for lengths of one, two and three bytes', (object) => {
    expect(structSize(object)).toBe(encodedSize(object));
  });

  it('stays below its bound, even for the densest text', () => {
    const dense: JsonObject[] = [
      { a: new Array(100_000).fill(0) },
      { a: new Array(10_000).fill([0]) },
      { '': 0 },
    ];
    for (const object of dense) {
      const textBytes = Buffer.byteLength(JSON.stringify(object));
      expect(structSize(object)).toBeLessThanOrEqual(textBytes * STRUCT_MOST_TIMES);
    }
  });
});
