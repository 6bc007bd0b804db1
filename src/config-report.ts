/** What `serve --check` prints: every setting as it stands, and where it comes from. */
import { AuthFileError } from './auth/auth-file.js';
import { openAuth } from './auth/open-auth.js';
import { ConfigError, type Inspection, inspectConfig, type SettingRow } from './config.js';

/** Prints the settings, opening nothing; then throws ConfigError if a start would be refused. */
export async function checkConfig(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  print: (text: string) => void,
): Promise<void> {
  const { isJson, others } = takeFormat(args.filter((arg) => arg !== '--check'));
  const inspection = inspectConfig(others, env);
  const { rows } = inspection;
  const complaints = [...inspection.complaints, ...(await authComplaints(inspection))];
  print(isJson ? `${JSON.stringify({ settings: rows, complaints }, undefined, 2)}\n` : tableOf(rows));
  if (complaints.length > 0) throw new ConfigError(complaints);
}

/** What is wrong in the auth file and its pepper, if they can be read. */
async function authComplaints({ config, rows, complaints }: Inspection): Promise<readonly string[]> {
  const { authFile, authPepperFile } = config;
  const from = rows.find(({ setting }) => setting === 'auth-file')?.from ?? '';
  if (authFile === undefined || complaints.some((line) => line.startsWith(`${from}: ${authFile} `)))
    return [];
  try {
    (await openAuth({ authFile, pepperFile: authPepperFile, onEvent: () => {} })).close();
    return [];
  } catch (error) {
    if (!(error instanceof AuthFileError)) throw error;
    return error.complaints.map((line) => `${from}: ${line}`);
  }
}

/** Takes `-o FORMAT` from the arguments. */
function takeFormat(args: readonly string[]): { isJson: boolean; others: string[] } {
  const at = args.findIndex((arg) => arg === '-o' || arg === '--output');
  if (at < 0) return { isJson: false, others: [...args] };
  const format = args[at + 1];
  if (format !== 'json' && format !== 'table')
    throw new ConfigError([`-o ${format ?? ''} must be table or json`]);
  return { isJson: format === 'json', others: args.filter((_, i) => i !== at && i !== at + 1) };
}

function tableOf(rows: readonly SettingRow[]): string {
  const cells = [
    ['SETTING', 'VALUE', 'FROM'],
    ...rows.map(({ setting, value, from }) => [setting, value ?? '(none)', from].map(printable)),
  ];
  const widths = [0, 1].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const lines = cells.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  '));
  return `${lines.join('\n')}\n`;
}

/** Text that moves no cursor. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?');
}
