import { defineApi, defineQuery, inventory, ref, text, withDefault } from '#contract'
import { systemTag, userTag } from './resources.ts'

export const createUserTag = defineApi({
  name: 'CreateUserTag',
  message: 'org.zstack.header.tag.APICreateUserTagMsg',
  path: '/user-tags',
  summary: 'Put a user tag on a resource.',
  input: {
    resourceType: text('Kind of resource, VmInstanceVO.'),
    resourceUuid: text('The resource.'),
    tag: text('The tag.', { notEmpty: true }),
  },
  output: {
    inventory: inventory(userTag),
  },
})

export const createSystemTag = defineApi({
  name: 'CreateSystemTag',
  message: 'org.zstack.header.tag.APICreateSystemTagMsg',
  path: '/system-tags',
  summary: 'Put a system tag on a resource; its pattern decides what it does.',
  input: {
    resourceType: text('Kind of resource, VmInstanceVO.'),
    resourceUuid: text('The resource.'),
    tag: text('The tag.', { notEmpty: true }),
  },
  output: {
    inventory: inventory(systemTag),
  },
})

export const updateSystemTag = defineApi({
  name: 'UpdateSystemTag',
  message: 'org.zstack.header.tag.APIUpdateSystemTagMsg',
  method: 'PUT',
  path: '/system-tags/{uuid}/actions',
  summary: 'Change the value in a system tag.',
  input: {
    uuid: ref('SystemTagVO', 'Uuid of the tag.'),
    tag: text('The tag.', { notEmpty: true }),
  },
  output: {
    inventory: inventory(systemTag),
  },
})

export const deleteTag = defineApi({
  name: 'DeleteTag',
  message: 'org.zstack.header.tag.APIDeleteTagMsg',
  method: 'DELETE',
  path: '/tags/{uuid}',
  summary: 'Remove a tag.',
  input: {
    uuid: text('Uuid of the tag.'),
    deleteMode: withDefault(
      text('Permissive, or Enforcing to go on where checks would refuse.'),
      'Permissive',
    ),
  },
})

export const queryUserTag = defineQuery({
  name: 'QueryUserTag',
  message: 'org.zstack.header.tag.APIQueryUserTagMsg',
  path: '/user-tags',
  resource: userTag,
})

export const querySystemTag = defineQuery({
  name: 'QuerySystemTag',
  message: 'org.zstack.header.tag.APIQuerySystemTagMsg',
  path: '/system-tags',
  resource: systemTag,
})
