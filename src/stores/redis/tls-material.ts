/**
 * TLS to Redis, from files that are renewed while the process runs. They are read again for each connection, of
 * which few are made; those that are open go on as they began. A file that is of no use, or of another pair
 * since its partner is still to come, leaves what was read before.
 */
import { type ConnectionOptions, createSecureContext, type SecureContext } from 'node:tls';
import { type PemFiles, type PemMaterial, readPemFiles } from '../../pem-files.js';

/** Options for connections, to be copied for each as the driver does. Throws PemErrors when files are of no use. */
export function tlsMaterial(files: PemFiles): ConnectionOptions {
  let material: PemMaterial = readPemFiles(files);
  return {
    get secureContext(): SecureContext {
      try {
        material = readPemFiles(files);
      } catch {
        // The next connection looks again.
      }
      const { ca, cert, key } = material;
      return createSecureContext({ ca, cert, key });
    },
  };
}
