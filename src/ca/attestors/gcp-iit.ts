import { fail, ok } from '#lib';
import type { NodeAttestor } from './node-attestor.ts';
import { textClaim, verifyPlatformToken } from './platform-token.ts';

const ISSUER = 'https://accounts.google.com';

/** The identity token of a Google Cloud instance in the `full` format. */
export const gcpIit: NodeAttestor = {
  strength: 'token',
  begin({ token }, { specs, nowMs }) {
    const configured = specs.flatMap(({ gcpIit: spec }) => (spec === undefined ? [] : [spec]));
    if (configured.length === 0) return fail('no NodeAttestor with `gcpIit` is applied');
    let problem = '';
    for (const spec of configured) {
      const claims = verifyPlatformToken(token, { ...spec, nowMs });
      if (!claims.ok) {
        problem = claims.error;
        continue;
      }
      if (claims.value['iss'] !== ISSUER) return fail('the token is of another issuer');
      const of = (name: string) => textClaim(claims.value, 'google', 'compute_engine', name);
      const [project, zone, id, name] = ['project_id', 'zone', 'instance_id', 'instance_name'].map(
        of,
      );
      if (project === undefined || id === undefined) {
        problem = 'the token has no instance: ask for it with `format=full`';
      } else if (!spec.projects.includes(project)) {
        problem = `instances of the project \`${project}\` may not attest`;
      } else {
        const selectors = [
          `gcp_iit:project-id:${project}`,
          ...(zone === undefined ? [] : [`gcp_iit:zone:${zone}`]),
          ...(name === undefined ? [] : [`gcp_iit:instance-name:${name}`]),
        ];
        const host = {
          agent: `gcp_iit/${project}.${id}`,
          selectors,
          isFirstUseOnly: !spec.again.includes(id),
        };
        return ok({ kind: 'attested', host });
      }
    }
    return fail(problem);
  },
};
