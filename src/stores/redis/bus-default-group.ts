/** The default group comes to exist by being used: the settings that a script makes it with. */
import { DEFAULT_GROUP, DEFAULT_GROUP_OF_STREAM } from '../../bus/event.js';
import { groupSettingsText } from './bus-records.js';

const SETTINGS = groupSettingsText(DEFAULT_GROUP_OF_STREAM);

/** What a script makes the group with if there is none; empty = it answers that there is none. */
export function defaultSettings(group: string): string {
  return group === DEFAULT_GROUP ? SETTINGS : '';
}
