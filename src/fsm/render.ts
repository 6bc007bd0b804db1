/**
 * A configuration as Mermaid `stateDiagram-v2` text. State names are any text, so states get ids of
 * their own (`s0`, `s1`, ...) and their names appear only as quoted descriptions.
 */
import type { ConfigurationContent } from './configuration.js';

/** Draws a configuration; `current` is the state of a machine to mark. */
export function renderMermaid(content: ConfigurationContent, current?: string): string {
  const ids = new Map(content.states.map((state, i) => [state, `s${i}`]));
  const id = (state: string) => ids.get(state) ?? '';
  const lines = [
    'stateDiagram-v2',
    ...content.states.map((state) => `  state "${quoted(state)}" as ${id(state)}`),
    `  [*] --> ${id(content.startingState)}`,
    ...content.transitions.map(({ from, to, event }) => `  ${id(from)} --> ${id(to)} : ${quoted(event)}`),
    ...content.finalStates.map((state) => `  ${id(state)} --> [*]`),
  ];
  if (current !== undefined)
    lines.push('  classDef current stroke-width:4px,font-weight:bold', `  class ${id(current)} current`);
  return `${lines.join('\n')}\n`;
}

/** Text that can neither end a Mermaid description nor begin anything else: entities for the rest. */
function quoted(text: string): string {
  return text.replace(/["#;:<>{}%\\\p{Cc}\u2028\u2029]/gu, (character) => `#${character.codePointAt(0)};`);
}
