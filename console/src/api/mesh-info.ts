/** `GET /mesh`: which mesh this is. */
export type MeshInfo = {
  readonly trustDomain: string;
  readonly strict: boolean;
  readonly autoRegister: boolean;
  readonly version: string;
  readonly trustRootVersion: number;
  readonly startedAt: string;
  readonly now: string;
};
