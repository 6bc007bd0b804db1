/**
 * Checks requests against the constraints in their protos. One validator serves all: it is made and
 * warmed at start, since the first message of a type costs up to 50 ms to plan and later ones
 * 1.5 us (a SendEventRequest of 60 bytes, test/bench/validation.ts; 2.1 us with the RE2 engine that is the
 * library's default).
 */
import { create, type DescMessage, type DescService } from '@bufbuild/protobuf';
import { pathToString } from '@bufbuild/protobuf/reflect';
import { createValidator, type Violation } from '@bufbuild/protovalidate';
import type { Validate } from '../call.js';
import type { FieldViolation } from '../fault.js';

/** Makes the validator and plans every request of the given services. */
export function createValidate(services: readonly DescService[]): Validate {
  const validator = createValidator({ regexMatch: patternMatcher() });
  const validate: Validate = (schema, message) => {
    const result = validator.validate(schema, message);
    if (result.kind === 'valid') return [];
    // A rule that cannot be compiled or run is a fault of the proto, not of the caller.
    if (result.kind === 'error') throw result.error;
    return result.violations.map(toFieldViolation);
  };
  for (const schema of requestsOf(services)) validate(schema, create(schema));
  return validate;
}

function requestsOf(services: readonly DescService[]): DescMessage[] {
  return services.flatMap((service) => service.methods.map((method) => method.input));
}

// The patterns are our protos' own and linear, so the platform's engine is as safe as RE2 and faster.
// There are as many compiled ones as there are patterns in the protos.
function patternMatcher(): (pattern: string, against: string) => boolean {
  const compiled = new Map<string, RegExp>();
  return (pattern, against) => {
    let expression = compiled.get(pattern);
    if (expression === undefined) {
      expression = new RegExp(pattern, 'u');
      compiled.set(pattern, expression);
    }
    return expression.test(against);
  };
}

function toFieldViolation({ field, message, ruleId }: Violation): FieldViolation {
  return { field: pathToString(field), description: WORDS[ruleId] ?? message, rule: ruleId };
}

/** Where the library's words say how the rule is written rather than what to do. */
const WORDS: Readonly<Record<string, string>> = {
  'string.min_bytes': 'must not be empty',
  'string.pattern': "must not hold ':' or control characters",
  'enum.in': 'must be PROCESSED, RETRY or UNPROCESSED',
  'enum.defined_only': 'is none of the values that there are',
  'repeated.unique': 'must not name anything twice',
};
