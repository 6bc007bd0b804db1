/**
 * `switchgear completion`: what a shell must know to complete a command line, written from the command
 * tree itself, so that it cannot fall behind it.
 */
import { Argument, type Command } from 'commander';
import { type Io, leaf } from './invocation.js';
import { type Format, Output } from './output.js';
import { Progress } from './progress.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

const USE = `
bash:  source <(switchgear completion bash)
zsh:   source <(switchgear completion zsh)
fish:  switchgear completion fish | source`;

/** One place of the tree: the words that lead there, and what can follow. */
interface Place {
  /** `switchgear fsm get` */
  readonly path: string;
  readonly words: readonly Word[];
}

interface Word {
  readonly text: string;
  readonly description: string;
  /** What an option may be given, when that is a closed list. */
  readonly values: readonly string[];
  readonly isFile: boolean;
}

const WRITERS: Readonly<Record<Shell, (places: readonly Place[]) => string>> = { bash, zsh, fish };

export function addCompletion(program: Command, io: Io): void {
  const command = leaf(program, 'completion', 'print a script that lets a shell complete these commands');
  command.addArgument(new Argument('<shell>', 'which shell').choices(SHELLS));
  command.addHelpText('after', USE);
  command.action(async (shell: Shell, { output }: { output: Format }) => {
    const script = WRITERS[shell](placesOf(program, 'switchgear'));
    const progress = new Progress(io.stderr);
    await new Output(output, io.stdout, () => progress.clear()).text({ shell, script }, script);
  });
}

function placesOf(command: Command, path: string): Place[] {
  const subcommands = command.commands.map((each) => word(each.name(), each.description()));
  const options = command.options.map((option) =>
    word(option.long ?? option.short ?? '', option.description, {
      values: option.argChoices ?? [],
      isFile: /<file>/.test(option.flags),
    }),
  );
  const values = command.registeredArguments.flatMap(({ argChoices = [] }) =>
    argChoices.map((choice) => word(choice, '')),
  );
  const here = { path, words: [...subcommands, ...values, ...options, word('--help', 'show this')] };
  return [here, ...command.commands.flatMap((each) => placesOf(each, `${path} ${each.name()}`))];
}

function word(text: string, description: string, rest: Partial<Word> = {}): Word {
  return { text, description, values: [], isFile: false, ...rest };
}

/** Goes down the tree by the words that were typed; what is no command leaves the place as it is. */
function bash(places: readonly Place[]): string {
  return `_switchgear() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} place=switchgear i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$place \${COMP_WORDS[i]}" in
${places
  .slice(1)
  .map(({ path }) => `      '${path}') place='${path}' ;;`)
  .join('\n')}
    esac
  done
  COMPREPLY=()
  case $previous in
${valueCases(places, (values) => `COMPREPLY=($(compgen -W '${values}' -- "$current")); return`)}
    ${fileOptions(places).join('|')}) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  case $place in
${places.map(({ path, words }) => `    '${path}') COMPREPLY=($(compgen -W '${texts(words)}' -- "$current")) ;;`).join('\n')}
  esac
}
complete -F _switchgear switchgear
`;
}

function zsh(places: readonly Place[]): string {
  return `#compdef switchgear
_switchgear() {
  local place=switchgear i
  local -a candidates
  for ((i = 2; i < CURRENT; i++)); do
    case "$place \${words[i]}" in
${places
  .slice(1)
  .map(({ path }) => `      '${path}') place='${path}' ;;`)
  .join('\n')}
    esac
  done
  case \${words[CURRENT-1]} in
${valueCases(places, (values) => `compadd -- ${values}; return`)}
    ${fileOptions(places).join('|')}) _files; return ;;
  esac
  case $place in
${places.map(({ path, words }) => `    '${path}') candidates=(${words.map(zshWord).join(' ')}) ;;`).join('\n')}
  esac
  _describe 'switchgear' candidates
}
compdef _switchgear switchgear
`;
}

function zshWord({ text, description }: Word): string {
  return quoted(description === '' ? text : `${text}:${description.replaceAll(':', '\\:')}`);
}

function fish(places: readonly Place[]): string {
  const lines = places.flatMap(({ path, words }) => {
    const condition = `__switchgear_at ${quoted(path)}`;
    return words.map((each) => `complete -c switchgear -f -n ${quoted(condition)} ${fishWord(each)}`);
  });
  return `function __switchgear_at
  set -l place switchgear
  for word in (commandline -opc)[2..-1]
    switch "$place $word"
      case ${places
        .slice(1)
        .map(({ path }) => quoted(path))
        .join(' ')}
        set place "$place $word"
    end
  end
  test "$place" = "$argv[1]"
end
${lines.join('\n')}
`;
}

function fishWord({ text, description, values, isFile }: Word): string {
  const what = text.startsWith('--') ? `-l ${text.slice(2)}` : `-a ${quoted(text)}`;
  const takes = isFile ? ' -r -F' : values.length > 0 ? ` -x -a ${quoted(values.join(' '))}` : '';
  return `${what}${takes} -d ${quoted(description)}`;
}

/** One `case` for each option with a closed list of values. */
function valueCases(places: readonly Place[], action: (values: string) => string): string {
  const options = new Map<string, string>();
  for (const { text, values } of places.flatMap(({ words }) => words))
    if (values.length > 0) options.set(text, values.join(' '));
  return [...options]
    .map(([option, values]) => `    ${option === '--output' ? '-o|--output' : option}) ${action(values)} ;;`)
    .join('\n');
}

function fileOptions(places: readonly Place[]): string[] {
  const all = places.flatMap(({ words }) => words).filter(({ isFile }) => isFile);
  return [...new Set(['-f', ...all.map(({ text }) => text)])];
}

function texts(words: readonly Word[]): string {
  return words.map(({ text }) => text).join(' ');
}

/** In single quotes, which each of the shells ends in its own way: so none may be within. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", '’')}'`;
}
