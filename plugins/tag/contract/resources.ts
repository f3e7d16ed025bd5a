import { bool, defineResource, optional, type Row, text, timestamp } from '#contract'

export const userTag = defineResource({
  name: 'UserTag',
  className: 'org.zstack.header.tag.UserTagInventory',
  fields: {
    uuid: text('Uuid of the UserTag.', { max: 32 }),
    resourceUuid: text('The resource.', { max: 32 }),
    resourceType: text('Kind of resource, VmInstanceVO.'),
    tag: text('The tag.'),
    type: text('User or System.'),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
    tagPatternUuid: optional(text('The pattern it was made from; absent.', { max: 32 })),
    tagPattern: optional(text('The pattern it was made from; absent.')),
  },
  relations: {
    tagPattern: { to: 'TagPatternInventory', column: 'tagPatternUuid', otherColumn: 'uuid' },
  },
})
export type UserTag = Row<typeof userTag>

export const systemTag = defineResource({
  name: 'SystemTag',
  className: 'org.zstack.header.tag.SystemTagInventory',
  fields: {
    uuid: text('Uuid of the SystemTag.', { max: 32 }),
    resourceUuid: text('The resource.', { max: 32 }),
    resourceType: text('Kind of resource, VmInstanceVO.'),
    tag: text('The tag.'),
    type: text('User or System.'),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
    inherent: bool('Made with the resource and not removable.'),
  },
})
export type SystemTag = Row<typeof systemTag>
