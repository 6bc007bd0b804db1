/**
 * Our protos as the compiler wrote them, for reflection: the raw bytes of each file, found by file name,
 * by the name of anything declared in it, and by extension. The bytes are handed out untouched, since a
 * file that is decoded and encoded again may lose what we have no type for (comments, custom options).
 */
import { existsSync, readFileSync } from 'node:fs';
import { fromBinary } from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
} from '@bufbuild/protobuf/wkt';

/** A file of the set. */
export interface DescribedFile {
  readonly bytes: Uint8Array;
  readonly imports: readonly string[];
}

// gen/ lies beside src/, and dist/gen beside dist/src, so one relative path serves both.
const SET_URL = new URL('../../gen/descriptors.binpb', import.meta.url);

/** Reads the set that `npm run generate` writes. */
export function loadDescriptors(): Descriptors {
  if (!existsSync(SET_URL)) throw new Error('gen/descriptors.binpb is missing: run npm run generate');
  return new Descriptors(readFileSync(SET_URL));
}

export class Descriptors {
  readonly #files = new Map<string, DescribedFile>();
  readonly #fileOfSymbol = new Map<string, string>();
  /** By extended message, then by field number. */
  readonly #extensions = new Map<string, Map<number, string>>();

  constructor(fileDescriptorSet: Uint8Array) {
    for (const bytes of filesIn(fileDescriptorSet)) this.#index(bytes);
  }

  file(name: string): DescribedFile | undefined {
    return this.#files.get(name);
  }

  fileWithSymbol(name: string): string | undefined {
    return this.#fileOfSymbol.get(name);
  }

  fileWithExtension(type: string, number: number): string | undefined {
    return this.#extensions.get(type)?.get(number);
  }

  /** Undefined = there is no such message. */
  extensionNumbers(type: string): number[] | undefined {
    const numbers = this.#extensions.get(type);
    if (numbers === undefined) return this.#fileOfSymbol.has(type) ? [] : undefined;
    return [...numbers.keys()].sort((a, b) => a - b);
  }

  #index(bytes: Uint8Array): void {
    const file = fromBinary(FileDescriptorProtoSchema, bytes);
    this.#files.set(file.name, { bytes, imports: file.dependency });
    const scope = file.package;
    for (const message of file.messageType) this.#indexMessage(message, scope, file);
    for (const type of file.enumType) this.#indexEnum(type, scope, file);
    for (const extension of file.extension) this.#indexExtension(extension, scope, file);
    for (const service of file.service) {
      const name = this.#declare(scope, service.name, file);
      for (const method of service.method) this.#declare(name, method.name, file);
    }
  }

  #indexMessage(message: DescriptorProto, scope: string, file: FileDescriptorProto): void {
    const name = this.#declare(scope, message.name, file);
    for (const member of [...message.field, ...message.oneofDecl]) this.#declare(name, member.name, file);
    for (const nested of message.nestedType) this.#indexMessage(nested, name, file);
    for (const type of message.enumType) this.#indexEnum(type, name, file);
    for (const extension of message.extension) this.#indexExtension(extension, name, file);
  }

  #indexEnum(type: EnumDescriptorProto, scope: string, file: FileDescriptorProto): void {
    const name = this.#declare(scope, type.name, file);
    for (const value of type.value) {
      // In proto a value's full name lies beside its enum; some clients ask for it inside.
      this.#declare(scope, value.name, file);
      this.#declare(name, value.name, file);
    }
  }

  #indexExtension(extension: FieldDescriptorProto, scope: string, file: FileDescriptorProto): void {
    this.#declare(scope, extension.name, file);
    const type = extension.extendee.replace(/^\./, '');
    const numbers = this.#extensions.get(type) ?? new Map<number, string>();
    this.#extensions.set(type, numbers.set(extension.number, file.name));
  }

  #declare(scope: string, name: string, file: FileDescriptorProto): string {
    const fullName = scope === '' ? name : `${scope}.${name}`;
    this.#fileOfSymbol.set(fullName, file.name);
    return fullName;
  }
}

/** A FileDescriptorSet is nothing but its files: field 1, length-delimited. */
function* filesIn(fileDescriptorSet: Uint8Array): Iterable<Uint8Array> {
  const reader = new BinaryReader(fileDescriptorSet);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) yield reader.bytes();
    else reader.skip(wireType, field);
  }
}
