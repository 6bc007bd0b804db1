/**
 * Server reflection, v1 and v1alpha: what a foreign client needs to call us with nothing but our address.
 * The two versions are one contract under two names, with equal field numbers and names, so one answer
 * serves both. A question that cannot be answered gets an error in its place; the stream goes on.
 */
import { create, type DescMessage, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf';
import {
  ServerReflection as ReflectionV1,
  type ServerReflectionRequest as RequestV1,
  ServerReflectionResponseSchema as ResponseV1Schema,
} from '../../gen/grpc/reflection/v1/reflection_pb.js';
import {
  ServerReflection as ReflectionV1Alpha,
  type ServerReflectionRequest as RequestV1Alpha,
  ServerReflectionResponseSchema as ResponseV1AlphaSchema,
} from '../../gen/grpc/reflection/v1alpha/reflection_pb.js';
import { bind, type ServiceBinding } from '../call.js';
import { type Descriptors, loadDescriptors } from './descriptors.js';
import { CODES } from './status.js';

type Question = RequestV1['messageRequest'] | RequestV1Alpha['messageRequest'];
type Answer = NonNullable<MessageInitShape<typeof ResponseV1Schema>['messageResponse']>;
type Asked = RequestV1 | RequestV1Alpha;

/** Both versions, for these services and reflection itself. */
export function reflectionBindings(serviceNames: readonly string[]): ServiceBinding[] {
  const names = [...serviceNames, ReflectionV1.typeName, ReflectionV1Alpha.typeName].sort();
  const reflection = new Reflection(loadDescriptors(), names);
  return [
    bind(ReflectionV1, {
      serverReflectionInfo: async function* (requests) {
        for await (const asked of requests) yield answerOf(ResponseV1Schema, reflection, asked);
      },
    }),
    bind(ReflectionV1Alpha, {
      serverReflectionInfo: async function* (requests) {
        for await (const asked of requests) yield answerOf(ResponseV1AlphaSchema, reflection, asked);
      },
    }),
  ];
}

function answerOf<S extends DescMessage>(schema: S, reflection: Reflection, asked: Asked): MessageShape<S> {
  const { host: validHost, messageRequest } = asked;
  const init = { validHost, originalRequest: asked, messageResponse: reflection.answer(messageRequest) };
  return create(schema, init as unknown as MessageInitShape<S>);
}

export class Reflection {
  readonly #descriptors: Descriptors;
  readonly #services: readonly string[];

  constructor(descriptors: Descriptors, services: readonly string[]) {
    this.#descriptors = descriptors;
    this.#services = services;
  }

  answer(question: Question): Answer {
    switch (question.case) {
      case 'fileByFilename':
        return this.#file(question.value, question.value);
      case 'fileContainingSymbol':
        return this.#file(this.#descriptors.fileWithSymbol(question.value), question.value);
      case 'fileContainingExtension': {
        const { containingType, extensionNumber } = question.value;
        const file = this.#descriptors.fileWithExtension(containingType, extensionNumber);
        return this.#file(file, `extension ${extensionNumber} of ${containingType}`);
      }
      case 'allExtensionNumbersOfType':
        return this.#extensionNumbers(question.value);
      case 'listServices':
        return { case: 'listServicesResponse', value: { service: this.#services.map((name) => ({ name })) } };
      default:
        return refusal(CODES.INVALID_ARGUMENT, 'the request asks for nothing');
    }
  }

  /** A file with all that it imports, so that one question is enough. */
  #file(fileName: string | undefined, asked: string): Answer {
    const names = new Set(fileName === undefined ? [] : [fileName]);
    const fileDescriptorProto: Uint8Array[] = [];
    // A set visits what is added while it is walked: each file once.
    for (const name of names) {
      const file = this.#descriptors.file(name);
      if (file === undefined) continue;
      fileDescriptorProto.push(file.bytes);
      for (const imported of file.imports) names.add(imported);
    }
    if (fileDescriptorProto.length === 0) return refusal(CODES.NOT_FOUND, `not found: ${asked}`);
    return { case: 'fileDescriptorResponse', value: { fileDescriptorProto } };
  }

  #extensionNumbers(type: string): Answer {
    const numbers = this.#descriptors.extensionNumbers(type);
    if (numbers === undefined) return refusal(CODES.NOT_FOUND, `not found: ${type}`);
    return { case: 'allExtensionNumbersResponse', value: { baseTypeName: type, extensionNumber: numbers } };
  }
}

function refusal(errorCode: number, errorMessage: string): Answer {
  return { case: 'errorResponse', value: { errorCode, errorMessage } };
}
